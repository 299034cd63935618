// A second implementation of docs/spec/network.md and docs/spec/receipt.md,
// written from those pages on Node's crypto alone. Usage:
//
//   node scripts/twin/receipt.mjs docs/spec/vectors/receipt.json   compare with the vectors
//   node scripts/twin/receipt.mjs NETWORK RECEIPT                  verify a receipt
import { createHash, createPublicKey, verify as verifySignature, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export class Refusal extends Error {
  constructor(reason) { super(reason); this.reason = reason; }
}
export const refuse = (reason) => { throw new Refusal(reason); };
export const need = (holds, reason = 'MALFORMED') => holds || refuse(reason);

const INDETERMINATE = new Set(['UNKNOWN_ORIGIN', 'UNKNOWN_SIGNER', 'NO_QUORUM', 'KEYS_RETIRED', 'UNKNOWN_ENTRY', 'PART_MISSING', 'CLOCKS_DISAGREE', 'REPORTS_DUE']);
export const sha256 = (...parts) => createHash('sha256').update(Buffer.concat(parts.map((p) => Buffer.from(p)))).digest();
export const same = (a, b) => Buffer.compare(a, b) === 0;

function base64(text) {
  const raw = Buffer.from(text, 'base64');
  return raw.toString('base64') === text ? raw : refuse('MALFORMED');
}

function number(text) {
  need(/^(0|[1-9][0-9]{0,15})$/.test(text) && Number(text) <= Number.MAX_SAFE_INTEGER);
  return Number(text);
}

const ed25519Prefix = Buffer.from('302a300506032b6570032100', 'hex'); // RFC 8410
function ed25519(publicKey, message, signature) {
  if (signature.length !== 64) return false;
  const key = createPublicKey({ key: Buffer.concat([ed25519Prefix, publicKey]), format: 'der', type: 'spki' });
  return verifySignature(null, message, key, signature);
}

// ---- network file ----

const validName = (s) => /^[!-~]{1,256}$/.test(s) && !/[+#]/.test(s);

function vkey(name, type, key) {
  const typed = Buffer.concat([Buffer.from([type]), key]);
  const hash = sha256(`${name}\n`, typed).subarray(0, 4).toString('hex');
  return { name, type, key, hash, text: `${name}+${hash}+${typed.toString('base64')}` };
}

function parseVKey(text, type) {
  const [name, , ...rest] = text.split('+');
  const typed = base64(rest.join('+'));
  need(typed.length === 33 && typed[0] === type && validName(name));
  const k = vkey(name, type, typed.subarray(1));
  need(k.text === text);
  return k;
}

export const ascending = (list) => list.every((x, i) => i === 0 || list[i - 1] < x);

export function parseNetwork(text) {
  need(text.length <= 1 << 20 && text.endsWith('\n') && /^[\n -~]*$/.test(text));
  const lines = text.slice(0, -1).split('\n');
  const peek = (word) => lines.length > 0 && lines[0].startsWith(`${word} `);
  const take = (word, count) => {
    need(peek(word));
    const fields = lines.shift().slice(word.length + 1).split(' ');
    need(count === undefined || fields.length === count);
    return fields;
  };
  need(lines.shift() === 'muniment/network/v1');
  const n = { id: take('network', 1)[0], chain: take('chain', 1)[0], origin: take('origin', 1)[0], nodes: [], eras: [] };
  need(/^[0-9a-f]{64}$/.test(n.id) && /^[A-Za-z0-9._-]{1,50}$/.test(n.chain) && validName(n.origin) && n.origin.length <= 200);
  while (peek('node')) {
    const [id, address, certificate] = take('node', 3);
    const at = address.lastIndexOf(':');
    const port = number(address.slice(at + 1));
    need(at > 0 && port >= 1 && port <= 65535 && /^([A-Za-z0-9.-]{1,253}|\[[0-9a-f:.]+\])$/.test(address.slice(0, at)));
    const der = base64(certificate);
    need(der.length <= 2048);
    const cert = new X509Certificate(der);
    const publicKey = cert.publicKey.export({ format: 'der', type: 'spki' });
    need(cert.publicKey.asymmetricKeyType === 'ed25519' && sha256(publicKey.subarray(12)).subarray(0, 20).toString('hex') === id);
    need(cert.subjectAltName === `DNS:node-${id}` && cert.verify(cert.publicKey));
    n.nodes.push(id);
  }
  need(n.nodes.length >= 1 && n.nodes.length <= 64 && ascending(n.nodes));
  while (lines.length > 0) n.eras.push(parseEra(n, n.eras.length + 1, peek, take));
  need(n.eras.length >= 1 && n.eras.length <= 64);
  n.eras.forEach((e, i) => need((e.closed === undefined) === (i === n.eras.length - 1)));
  n.eras.slice(1, -1).forEach((e, i) => need(n.eras[i].closed.size <= e.closed.size));
  return n;
}

function parseEra(n, count, peek, take) {
  need(take('era', 1)[0] === String(count));
  const e = { logs: [], validators: [], witnesses: [] };
  while (peek('log')) e.logs.push(parseVKey(take('log', 1)[0], 1));
  while (peek('witness')) {
    const [label, text] = take('witness', 2);
    const k = { label, ...parseVKey(text, 4) };
    if (label.startsWith('node-')) {
      need(/^node-[0-9a-f]{40}$/.test(label) && k.name === `${n.origin}/${label}` && e.witnesses.length === 0);
      e.validators.push(k);
    } else {
      need(/^[a-z][a-z0-9-]{0,39}$/.test(label) && !['city', 'witnesses', 'witnessed', 'none'].includes(label));
      need(k.name.length <= 200 && k.name !== n.origin && !k.name.startsWith(`${n.origin}/`));
      e.witnesses.push(k);
    }
  }
  need(e.logs.length >= 1 && e.logs.length <= 64 && e.validators.length >= 1 && e.validators.length <= 64 && e.witnesses.length <= 32);
  need(e.logs.every((k) => k.name === n.origin) && ascending(e.logs.map((k) => k.key.toString('hex'))));
  const labels = e.validators.map((k) => k.label);
  const outside = e.witnesses.map((k) => k.label);
  need(ascending(labels) && ascending(outside));
  const all = [...e.logs, ...e.validators, ...e.witnesses];
  need(new Set(all.map((k) => k.key.toString('hex'))).size === all.length && new Set(all.map((k) => k.name + k.hash)).size === all.length);
  e.threshold = Math.floor((2 * labels.length) / 3) + 1;
  need(take('group').join(' ') === ['city', e.threshold, ...labels].join(' '));
  if (outside.length > 0) {
    const fields = take('group');
    e.witnessThreshold = number(fields[1]);
    need(fields.join(' ') === ['witnesses', e.witnessThreshold, ...outside].join(' '));
    need(e.witnessThreshold >= 1 && e.witnessThreshold <= outside.length);
    need(take('group').join(' ') === 'witnessed all city witnesses');
  }
  need(take('quorum', 1)[0] === 'city');
  if (peek('closed')) {
    const [size, root] = take('closed', 2);
    e.closed = { size: number(size), root: base64(root) };
    need(e.closed.size >= 1 && e.closed.root.length === 32);
  }
  return e;
}

// ---- the text, its CBOR, its checkpoint ----

export function parseText(text, limit = 64 << 10) {
  need(Buffer.byteLength(text) <= limit);
  const cut = text.indexOf('\n\n');
  need(cut >= 0);
  const [header, extra, index, ...proof] = text.slice(0, cut).split('\n');
  need(header === 'c2sp.org/tlog-proof@v1' && extra?.startsWith('extra ') && index?.startsWith('index ') && proof.length <= 63);
  const r = { extra: base64(extra.slice(6)), index: number(index.slice(6)), proof: proof.map(base64), checkpoint: parseCheckpoint(text.slice(cut + 2)) };
  need(r.proof.every((h) => h.length === 32) && r.index < r.checkpoint.size);
  return r;
}

function parseCheckpoint(text) {
  need(Buffer.byteLength(text) <= 24 << 10);
  const cut = text.indexOf('\n\n');
  need(cut >= 0 && text.endsWith('\n'));
  const body = text.slice(0, cut + 1);
  const [origin, size, root, ...more] = body.split('\n');
  const c = { body, origin, size: number(size), root: base64(root), signatures: [] };
  need(more.length === 1 && more[0] === '' && validName(origin) && c.size >= 1 && c.root.length === 32);
  for (const line of text.slice(cut + 2, -1).split('\n')) {
    const fields = line.split(' ');
    need(fields.length === 3 && fields[0] === '—' && validName(fields[1]));
    const raw = base64(fields[2]);
    need(raw.length >= 5);
    c.signatures.push({ name: fields[1], hash: raw.subarray(0, 4).toString('hex'), signature: raw.subarray(4) });
  }
  need(c.signatures.length <= 100);
  const rest = c.signatures.filter((s, i) => i > 0 || s.name !== origin);
  need(rest.every((s) => s.name !== origin) && ascending(rest.map((s) => `${s.name} ${s.hash}`)));
  return c;
}

// decode reads deterministic CBOR: integers as BigInt, byte strings, text,
// arrays, null; every head in its shortest form.
export function decode(raw) {
  let at = 0;
  const take = (count) => {
    need(count <= raw.length - at);
    at += count;
    return raw.subarray(at - count, at);
  };
  const item = (depth) => {
    const first = take(1)[0];
    if (first === 0xf6) return null;
    const major = first >> 5;
    const low = first & 31;
    need(major <= 4 && low <= 27 && depth <= 5);
    const extra = low < 24 ? 0 : 1 << (low - 24);
    const value = low < 24 ? BigInt(low) : BigInt(`0x${take(extra).toString('hex')}`);
    need(extra === 0 || value >= (extra === 1 ? 24n : 1n << BigInt(extra * 4)));
    if (major === 0) return value;
    if (major === 1) return -1n - value;
    need(value <= BigInt(raw.length));
    if (major === 2) return take(Number(value));
    if (major === 3) return new TextDecoder('utf-8', { fatal: true }).decode(take(Number(value)));
    return Array.from({ length: Number(value) }, () => item(depth + 1));
  };
  const value = item(1);
  need(at === raw.length);
  return value;
}

export function malformedOr(read) {
  try { return read(); } catch (e) { throw e instanceof Refusal ? e : new Refusal('MALFORMED'); }
}

// ---- tree ----

const leafHash = (entry) => sha256([0], entry);
const nodeHash = (left, right) => sha256([1], left, right);

// rootOf runs an RFC 6962 inclusion proof (RFC 9162, 2.1.3.2).
function rootOf(index, size, leaf, proof) {
  let fn = BigInt(index);
  let sn = BigInt(size) - 1n;
  let hash = leaf;
  for (const p of proof) {
    if (sn === 0n) return null;
    if (fn & 1n || fn === sn) {
      hash = nodeHash(p, hash);
      while (!(fn & 1n) && fn !== 0n) { fn >>= 1n; sn >>= 1n; }
    } else {
      hash = nodeHash(hash, p);
    }
    fn >>= 1n;
    sn >>= 1n;
  }
  return sn === 0n ? hash : null;
}

export function inTree(c, index, entry, proof) {
  const root = rootOf(index, c.size, leafHash(entry), proof);
  return root !== null && same(root, c.root);
}

// consistent runs an RFC 6962 consistency proof (RFC 9162, 2.1.4.2).
function consistent(first, firstRoot, second, secondRoot, proof) {
  const path = [...proof];
  if (path.length === 0) return false;
  const n = BigInt(first);
  if ((n & (n - 1n)) === 0n) path.unshift(firstRoot);
  let fn = n - 1n;
  let sn = BigInt(second) - 1n;
  while (fn & 1n) { fn >>= 1n; sn >>= 1n; }
  let fr = path[0];
  let sr = path[0];
  for (const c of path.slice(1)) {
    if (sn === 0n) return false;
    if (fn & 1n || fn === sn) {
      fr = nodeHash(c, fr);
      sr = nodeHash(c, sr);
      while (!(fn & 1n) && fn !== 0n) { fn >>= 1n; sn >>= 1n; }
    } else {
      sr = nodeHash(sr, c);
    }
    fn >>= 1n;
    sn >>= 1n;
  }
  return sn === 0n && same(fr, firstRoot) && same(sr, secondRoot);
}

// ---- steps 2 to 5 and 7 ----

// verifiedTimes gives the times of the validators' cosignatures, ascending.
function verifiedTimes(era, c, signers) {
  const times = [];
  c.signatures.forEach((s, i) => {
    const k = signers[i];
    if (k.type === 1) return need(ed25519(k.key, Buffer.from(c.body), s.signature), 'BAD_COSIGNATURE');
    need(s.signature.length === 72, 'BAD_COSIGNATURE');
    const time = s.signature.readBigUInt64BE(0);
    const message = Buffer.from(`cosignature/v1\ntime ${time}\n${c.body}`);
    need(ed25519(k.key, message, s.signature.subarray(8)) && time >= 1n && time <= 253402300799n, 'BAD_COSIGNATURE');
    if (era.validators.includes(k)) times.push(time);
    return undefined;
  });
  return times.sort((a, b) => (a < b ? -1 : 1));
}

export function checkSignatures(n, c) {
  need(c.origin === n.origin, 'UNKNOWN_ORIGIN');
  let members = false;
  let bad;
  for (const era of [...n.eras].reverse()) {
    const all = [...era.logs, ...era.validators, ...era.witnesses];
    const signers = c.signatures.map((s) => all.find((k) => k.name === s.name && k.hash === s.hash));
    if (signers.includes(undefined)) continue;
    members = true;
    const count = (list) => signers.filter((k) => list.includes(k)).length;
    if (count(era.logs) === 0 || count(era.validators) < era.threshold) continue;
    try {
      const times = verifiedTimes(era, c, signers);
      const witnessed = era.witnesses.length > 0 && count(era.witnesses) >= era.witnessThreshold;
      return { era, notAfter: times[era.threshold - 1], grade: witnessed ? 'witnessed' : 'city' };
    } catch (e) {
      if (e.reason !== 'BAD_COSIGNATURE') throw e;
      bad ??= e; // a later key may have the hash of an earlier one
    }
  }
  if (bad !== undefined) throw bad;
  return refuse(members ? 'NO_QUORUM' : 'UNKNOWN_SIGNER');
}

export function checkEra(era, c, toPin) {
  const pin = era.closed;
  if (pin === undefined) return;
  need(c.size <= pin.size, 'ERA_CONTRADICTED');
  if (c.size === pin.size) { need(same(c.root, pin.root), 'ERA_CONTRADICTED'); return; }
  need(toPin.length > 0, 'KEYS_RETIRED');
  need(consistent(c.size, c.root, pin.size, pin.root, toPin), 'ERA_CONTRADICTED');
}

export const checkClocks = (time, notAfter) => need(time <= (notAfter + 60n) * 1_000_000_000n, 'CLOCKS_DISAGREE');

// ---- entries (docs/spec/entry.md) ----

const FIELDS = {
  1: ['genesis', 'network b32', 'chain text', 'origin text', 'time uint'],
  2: ['fact', 'fact bytes'],
  3: ['block', 'height uint', 'time uint', 'first uint', 'stateRoot b32'],
  4: ['transaction', 'keyID b32', 'signature b64', 'bodyHash b32', 'nonce b16', 'notAfter uint', 'count uint', 'body bytes'],
  5: ['jump', 'height uint', 'before uint', 'after uint'],
  6: ['misbehavior', 'validator b32', 'height uint'],
  16: ['anchor', 'office code', 'series code', 'custody optional', 'commitment b32', 'day int', 'flags uint'],
  17: ['supersession', 'office code', 'record uint', 'by uint'],
  19: ['events', 'office code', 'event uint', 'day int', 'count uint'],
  20: ['filing', 'office code', 'series optional', 'file uint', 'count uint'],
  21: ['audit', 'office code', 'department code', 'through int'],
  24: ['hold', 'office code', 'holdKind uint', 'issues uint', 'late uint'],
  25: ['extension', 'office code', 'hold index', 'issues uint', 'late uint'],
  26: ['resolution', 'office code', 'hold index', 'issue uint'],
  27: ['release', 'office code', 'hold index'],
  32: ['disposition', 'office code', 'series code', 'action uint', 'count uint', 'hash b32'],
  33: ['authorization', 'office code', 'disposition index', 'hash b32'],
  34: ['withdrawal', 'office code', 'disposition index'],
  35: ['notice', 'office code', 'disposition index', 'day int'],
  36: ['lock', 'office code', 'disposition index', 'day int', 'authorizations indexes', 'standing uint', 'notice uint', 'count uint'],
  37: ['report', 'office optional', 'custodian b32', 'disposition index', 'outcome uint', 'preserved uint'],
  38: ['item', 'disposition index', 'record index', 'due int', 'rules indexes', 'facts indexes', 'audit uint'],
  39: ['refusal', 'office code', 'reason uint', 'disposition uint', 'record uint', 'hold uint'],
  40: ['withholding', 'office code', 'record index', 'redaction b32'],
  41: ['departure', 'custodian b32', 'set code', 'departure uint'],
  48: ['proposal', 'office code', 'factHash b32'],
  49: ['approval', 'office code', 'proposal uint', 'factHash b32'],
  50: ['suspension', 'office code', 'keyID b32', 'sinceHeight uint'],
  51: ['acknowledgment', 'office code', 'jump index'],
};
const CODE = /^(?=[^A-Z]*[A-Z])[A-Z0-9][A-Z0-9.-]{0,15}$/;
const CHECKS = {
  uint: (v) => typeof v === 'bigint' && v >= 0n,
  int: (v) => typeof v === 'bigint',
  index: (v) => typeof v === 'bigint' && v >= 1n,
  indexes: (v) => Array.isArray(v) && v.length <= 64 && v.every((i) => typeof i === 'bigint' && i >= 1n) && ascending(v),
  text: (v) => typeof v === 'string',
  code: (v) => typeof v === 'string' && CODE.test(v),
  optional: (v) => v === '' || (typeof v === 'string' && CODE.test(v)),
  bytes: (v) => Buffer.isBuffer(v),
  b16: (v) => Buffer.isBuffer(v) && v.length === 16,
  b32: (v) => Buffer.isBuffer(v) && v.length === 32,
  b64: (v) => Buffer.isBuffer(v) && v.length === 64,
};

export function parseEntry(raw) {
  try {
    const [version, kind, ...values] = decode(raw);
    const [name, ...fields] = FIELDS[kind];
    need(version === 1n && values.length === fields.length);
    const e = { kind: name };
    fields.forEach((field, i) => {
      const [key, type] = field.split(' ');
      need(CHECKS[type](values[i]));
      e[key] = values[i];
    });
    return e;
  } catch {
    return refuse('UNKNOWN_ENTRY');
  }
}

// ---- protocol buffers, as far as bodies and key facts need them ----

function varint(v) {
  const out = [];
  for (; v > 127n; v >>= 7n) out.push(Number(v & 127n) | 128);
  return Buffer.from([...out, Number(v)]);
}
const tag = (field, wire) => varint(BigInt(field * 8 + wire));
const bytesField = (field, raw) => (raw.length === 0 ? Buffer.alloc(0) : Buffer.concat([tag(field, 2), varint(BigInt(raw.length)), Buffer.from(raw)]));
const intField = (field, v) => (v === 0n ? Buffer.alloc(0) : Buffer.concat([tag(field, 0), varint(v)]));

export function fieldsOf(raw) {
  let at = 0;
  const read = () => {
    let v = 0n;
    for (let shift = 0n; ; shift += 7n) {
      need(at < raw.length && shift < 70n);
      const b = raw[at++];
      v |= BigInt(b & 127) << shift;
      if (b < 128) return v;
    }
  };
  const out = {};
  while (at < raw.length) {
    const key = Number(read());
    need(key % 8 === 0 || key % 8 === 2);
    if (key % 8 === 0) { out[key >> 3] = read(); continue; }
    const length = Number(read());
    need(length <= raw.length - at);
    out[key >> 3] = raw.subarray(at, at + length);
    at += length;
  }
  return out;
}

function anchorBody(n, tx, e) {
  const zigzag = e.day >= 0n ? e.day * 2n : -e.day * 2n - 1n;
  const item = Buffer.concat([bytesField(1, e.commitment), intField(2, zigzag), intField(3, e.flags)]);
  const message = Buffer.concat([bytesField(1, e.series), bytesField(2, e.custody), bytesField(3, item)]);
  return Buffer.concat([bytesField(1, Buffer.from(n.id, 'hex')), bytesField(2, tx.nonce), intField(3, tx.notAfter), bytesField(16, message)]);
}

// indexesIn reads a packed list, of which each number is the difference to the
// one before.
export function indexesIn(raw) {
  const list = [];
  for (let at = 0, before = 0n; at < raw.length;) {
    let v = 0n;
    for (let shift = 0n; ; shift += 7n) {
      need(at < raw.length && shift < 70n);
      const b = raw[at++];
      v |= BigInt(b & 127) << shift;
      if (b < 128) break;
    }
    before += v;
    list.push(before);
  }
  return list;
}

// MESSAGES gives the field of TxBody for the entries that have one of their own,
// and which of its fields, by number, say what the entry says under that name.
const MESSAGES = {
  events: [19, { 1: 'event', 2: 'day zigzag', 3: 'count list' }],
  filing: [20, { 1: 'series code', 2: 'file', 3: 'count list' }],
  audit: [21, { 1: 'department code', 2: 'through zigzag' }],
  hold: [24, { 1: 'holdKind', 3: 'issues' }],
  extension: [25, { 1: 'hold', 2: 'issues' }],
  resolution: [26, { 1: 'hold', 2: 'issue' }],
  release: [27, { 1: 'hold' }],
  disposition: [32, { 1: 'series code', 2: 'action', 5: 'count list' }],
  authorization: [33, { 1: 'disposition', 2: 'hash bytes' }],
  withdrawal: [34, { 1: 'disposition' }],
  notice: [35, { 1: 'disposition', 2: 'day zigzag' }],
  lock: [36, { 1: 'disposition' }],
  item: [36, { 1: 'disposition' }],
  report: [37, { 1: 'disposition', 2: 'outcome' }],
  withholding: [40, { 1: 'record', 2: 'redaction bytes' }],
  departure: [41, { 1: 'set code', 2: 'departure' }],
  acknowledgment: [51, { 1: 'jump' }],
};

// statesOfRecords does so for entries about records, holds and dispositions.
function statesOfRecords(body, e, tx) {
  if (e.kind === 'refusal') return tx.count === 1n && refusesStep(body, e);
  const [number, fields] = MESSAGES[e.kind] ?? [];
  if (number === undefined || body[number] === undefined) return false;
  const m = fieldsOf(body[number]);
  const holds = Object.entries(fields).every(([field, name]) => {
    const [key, type] = name.split(' ');
    const v = m[field];
    switch (type) {
      case 'code': return (v ?? '').toString() === e[key];
      case 'bytes': return v !== undefined && same(v, e[key]);
      case 'list': return v !== undefined && BigInt(indexesIn(v).length) === e[key];
      case 'zigzag': return BigInt.asIntN(64, ((v ?? 0n) >> 1n) ^ -((v ?? 0n) & 1n)) === e[key];
      default: return (v ?? 0n) === e[key];
    }
  });
  const place = BigInt(e.index) - BigInt(tx.index);
  switch (e.kind) {
    case 'disposition': return holds && same(e.hash, tx.bodyHash);
    case 'lock': return holds && place === 1n && e.count === tx.count - 1n;
    case 'item': return holds && place > 1n;
    case 'report': return holds && (e.outcome === 2n || BigInt(m[3] === undefined ? 0 : indexesIn(m[3]).length) === e.preserved);
    default: return holds;
  }
}

// refusesStep: a refusal speaks of the step that the body asks for.
function refusesStep(body, e) {
  if (body[32] !== undefined) return e.disposition === 0n && (e.record === 0n || indexesIn(fieldsOf(body[32])[5]).includes(e.record));
  const step = [33, 35, 36].find((number) => body[number] !== undefined);
  return step !== undefined && fieldsOf(body[step])[1] === e.disposition;
}

// states tells whether a signed body states the entry.
function states(body, e, tx) {
  const supersede = body[17] && fieldsOf(body[17]);
  const propose = body[48] && fieldsOf(body[48]);
  const approve = body[49] && fieldsOf(body[49]);
  const suspend = body[50] && fieldsOf(body[50]);
  const int = (v) => v ?? 0n;
  const factHash = propose ? sha256(propose[1]) : approve?.[2];
  switch (e.kind) {
    case 'transaction': return body[16] === undefined;
    case 'anchor': return e.flags === 2n ? statesBatch(body[18], e) : body[16] !== undefined;
    case 'supersession': return Boolean(supersede) && int(supersede[1]) === e.record && int(supersede[2]) === e.by;
    case 'proposal': return Boolean(propose) && same(factHash, e.factHash);
    case 'approval': return Boolean(approve) && int(approve[1]) === e.proposal && same(approve[2], e.factHash);
    case 'suspension': return Boolean(suspend) && same(suspend[1], e.keyID) && int(suspend[2]) === e.sinceHeight;
    case 'fact': return Boolean(factHash) && same(factHash, sha256(e.fact));
    default: return statesOfRecords(body, e, tx);
  }
}

function statesBatch(raw, e) {
  if (raw === undefined) return false;
  const m = fieldsOf(raw);
  return m[1].toString() === e.series && (m[2] ?? '').toString() === e.custody && same(m[3], e.commitment);
}

// ---- receipts ----

// readLeaves reads a text whose extra is [form, entry, leaves].
export function readLeaves(text, wanted, limit, most) {
  return malformedOr(() => {
    const t = parseText(text, limit);
    const [form, entry, leaves, ...more] = decode(t.extra);
    need(form === wanted && Buffer.isBuffer(entry) && entry.length <= 32 << 10 && Array.isArray(leaves) && leaves.length <= most && more.length === 0);
    t.entry = entry;
    t.leaves = leaves.map((l) => {
      need(Array.isArray(l) && l.length === 3 && typeof l[0] === 'bigint' && Buffer.isBuffer(l[1]) && Array.isArray(l[2]));
      need(l[0] >= 0n && l[0] < BigInt(t.checkpoint.size) && l[1].length <= 32 << 10 && l[2].length <= 63);
      need(l[2].every((h) => Buffer.isBuffer(h) && h.length === 32));
      return { index: Number(l[0]), entry: l[1], proof: l[2] };
    });
    need(t.leaves.every((l, i) => l.index !== t.index && (i === 0 || t.leaves[i - 1].index < l.index)));
    return t;
  });
}

export function verify(n, text, toPin = []) {
  return outcome(() => {
    const r = readLeaves(text, 1n, 64 << 10, 8);
    const standing = checkSignatures(n, r.checkpoint);
    need(inTree(r.checkpoint, r.index, r.entry, r.proof), 'ENTRY_NOT_IN_TREE');
    for (const l of r.leaves) need(inTree(r.checkpoint, l.index, l.entry, l.proof), 'PART_NOT_IN_TREE');
    checkEra(standing.era, r.checkpoint, toPin);
    const entry = { ...parseEntry(r.entry), index: r.index };
    const parts = sortParts(entry, r.leaves);
    if (entry.kind === 'genesis') {
      need(entry.network.toString('hex') === n.id && entry.chain === n.chain && entry.origin === n.origin, 'WRONG_NETWORK');
    }
    checkAct(n, entry, parts);
    checkClocks(parts.block.time, standing.notAfter);
    return { grade: standing.grade, notAfter: standing.notAfter, notBefore: parts.block.time };
  });
}

// keyIn reads the fact that registered a key.
export function keyIn(raw) {
  const fact = fieldsOf(raw);
  need(fact[3] !== undefined || fact[7] !== undefined, 'KEY_MISMATCH');
  const key = fieldsOf(fact[3] ?? fact[7]);
  if (fact[7] !== undefined) return { custodian: true, publicKey: key[5] };
  return { office: key[1].toString(), use: key[2], publicKey: key[3], status: key[4] };
}

function sortParts(entry, leaves) {
  const parts = {};
  const role = { block: 'block', transaction: 'tx', fact: 'key' };
  for (const l of leaves) {
    const e = { ...parseEntry(l.entry), index: l.index };
    if (e.kind === 'fact' && parts.key === undefined) Object.assign(e, keyIn(e.fact));
    need(role[e.kind] !== undefined && parts[role[e.kind]] === undefined, 'PART_UNEXPECTED');
    parts[role[e.kind]] = e;
  }
  const unsigned = ['genesis', 'fact', 'block', 'transaction', 'jump', 'misbehavior'];
  const ofGenesis = parts.block === undefined || parts.block.height === 0n;
  const needsTx = !unsigned.includes(entry.kind) || (entry.kind === 'fact' && !ofGenesis);
  const needsKey = parts.tx !== undefined || needsTx || entry.kind === 'transaction';
  need(parts.tx === undefined || needsTx || entry.kind === 'fact', 'PART_UNEXPECTED');
  need(parts.key === undefined || needsKey, 'PART_UNEXPECTED');
  need(parts.block === undefined || entry.kind !== 'block', 'PART_UNEXPECTED');
  need(parts.tx !== undefined || !needsTx, 'PART_MISSING');
  need(parts.key !== undefined || !needsKey, 'PART_MISSING');
  need(parts.block !== undefined || entry.kind === 'block', 'PART_MISSING');
  if (entry.kind === 'transaction') parts.tx = entry;
  if (entry.kind === 'block') parts.block = entry;
  return parts;
}

// checkAct takes steps 11 to 15.
export function checkAct(n, entry, { block, tx, key }) {
  const inBlock = (first, last) => need(block.first <= first && last < block.index, 'BLOCK_ELSEWHERE');
  if (entry.kind === 'block') inBlock(entry.index - 1, entry.index - 1);
  else inBlock(entry.index, entry.index);
  if (tx === undefined) return;
  const last = tx.index + Number(tx.count);
  need(tx.index === entry.index || (tx.index < entry.index && entry.index <= last), 'TX_ELSEWHERE');
  inBlock(tx.index, last);
  need(key.index < tx.index && key.publicKey !== undefined && same(sha256('muniment/v1/key\n', key.publicKey), tx.keyID), 'KEY_MISMATCH');
  if (key.custodian) {
    const signed = fieldsOf(tx.body);
    const own = ['report', 'departure'].includes(entry.kind) && same(entry.custodian, tx.keyID);
    need((signed[37] ?? signed[41]) !== undefined && (entry.kind === 'transaction' || own), 'KEY_MISMATCH');
  } else {
    need(key.use === 1n && key.status === 1n && entry.office !== '' && entry.kind !== 'departure', 'KEY_MISMATCH');
    need(entry.office === undefined || entry.office === key.office, 'KEY_MISMATCH');
  }
  need(ed25519(key.publicKey, Buffer.concat([Buffer.from('muniment/v1/tx\n'), tx.bodyHash]), tx.signature), 'BAD_TX_SIGNATURE');
  let { body } = tx;
  if (entry.kind === 'anchor' && entry.flags !== 2n) {
    need(body.length === 0, 'TX_CONTRADICTED');
    if (tx.count !== 1n) return;
    body = anchorBody(n, tx, entry);
  } else if (body.length === 0) {
    need(entry.kind === 'transaction', 'TX_CONTRADICTED');
    return;
  }
  need(same(sha256(body), tx.bodyHash), 'TX_CONTRADICTED');
  const fields = fieldsOf(body);
  need(fields[1].toString('hex') === n.id && same(fields[2], tx.nonce) && (fields[3] ?? 0n) === tx.notAfter, 'TX_CONTRADICTED');
  need(states(fields, entry, tx), 'TX_CONTRADICTED');
}

// ---- state receipts (docs/spec/statetree.md) ----

const EMPTY = Buffer.alloc(32);
const bitOf = (key, i) => (key[i >> 3] >> (7 - (i & 7))) & 1;

function parseStateProof(raw) {
  let at = 0;
  const take = (count) => { need(count <= raw.length - at); at += count; return raw.subarray(at - count, at); };
  const p = { end: take(1)[0], siblings: [] };
  need(p.end >= 1 && p.end <= 3);
  if (p.end === 3) { p.otherKey = take(32); p.otherValue = take(32); }
  const depth = take(2).readUInt16BE();
  need(depth <= 256 && !(depth === 256 && p.end === 2));
  const bitmap = take((depth + 7) >> 3);
  for (let i = depth; i < bitmap.length * 8; i++) need(bitOf(bitmap, i) === 0);
  need(depth === 0 || bitOf(bitmap, depth - 1) === 1);
  for (let i = 0; i < depth; i++) {
    const sibling = bitOf(bitmap, i) ? take(32) : EMPTY;
    need(!bitOf(bitmap, i) || !same(sibling, EMPTY));
    p.siblings.push(sibling);
  }
  need(at === raw.length);
  return p;
}

function stateHolds(root, key, value, p) {
  if ((value !== null) !== (p.end === 1)) return false;
  let hash = EMPTY;
  if (p.end === 1) hash = sha256([0], key, sha256(value));
  if (p.end === 3) {
    if (same(p.otherKey, key) || p.siblings.some((_, i) => bitOf(key, i) !== bitOf(p.otherKey, i))) return false;
    hash = sha256([0], p.otherKey, p.otherValue);
  }
  for (let depth = p.siblings.length; depth > 0; depth--) {
    const sibling = p.siblings[depth - 1];
    hash = bitOf(key, depth - 1) === 0 ? nodeHash(hash, sibling) : nodeHash(sibling, hash);
  }
  return same(hash, root);
}

export function parseState(text) {
  return malformedOr(() => {
    const t = parseText(text);
    const [form, entry, key, value, proof, ...more] = decode(t.extra);
    need(form === 2n && [entry, key, proof].every(Buffer.isBuffer) && (value === null || Buffer.isBuffer(value)) && more.length === 0);
    need(entry.length <= 32 << 10 && key.length >= 1 && key.length <= 256 && (value?.length ?? 0) <= 32 << 10);
    return { ...t, entry, key, value, stateProof: parseStateProof(proof) };
  });
}

export function verifyState(n, text, toPin = []) {
  return outcome(() => {
    const r = parseState(text);
    const c = r.checkpoint;
    const standing = checkSignatures(n, c);
    need(inTree(c, r.index, r.entry, r.proof), 'ENTRY_NOT_IN_TREE');
    checkEra(standing.era, c, toPin);
    const block = parseEntry(r.entry);
    need(block.kind === 'block' && r.index === c.size - 1, 'NOT_LAST_BLOCK');
    need(stateHolds(block.stateRoot, sha256(r.key), r.value, r.stateProof), 'STATE_NOT_PROVEN');
    checkClocks(block.time, standing.notAfter);
    return { grade: standing.grade, notAfter: standing.notAfter, notBefore: block.time };
  });
}

// outcome takes the steps and gives what they state, or why they ended.
export function outcome(steps) {
  try {
    return { want: 'PASSED', ...steps() };
  } catch (e) {
    if (!(e instanceof Refusal)) throw e;
    return { want: `${INDETERMINATE.has(e.reason) ? 'INDETERMINATE' : 'FAILED'} ${e.reason}` };
  }
}

// ---- command ----

function compare(path) {
  const v = JSON.parse(readFileSync(path, 'utf8'));
  const networks = Object.fromEntries(Object.entries(v.networks).map(([name, text]) => [name, parseNetwork(text)]));
  const judge = (c, text) => (c.form === 2 ? verifyState : verify)(networks[c.network], text, (c.to_pin ?? []).map(base64));
  let differences = 0;
  const expect = (name, got, want) => {
    if (got === want) return;
    differences++;
    console.error(`${name}: the twin says ${got}, the vectors say ${want}`);
  };
  for (const c of v.cases) {
    const got = judge(c, c.text);
    const stated = (x) => [x.want, x.grade ?? '', x.notAfter ?? x.not_after ?? '', x.notBefore ?? x.not_before ?? ''].join(', ');
    expect(c.name, stated(got), stated(c));
  }
  for (const m of v.mutations) {
    const c = v.cases.find((x) => x.name === m.case);
    const raw = Buffer.from(c.text);
    raw[m.at] = m.byte;
    const text = raw.toString('utf8');
    const valid = same(Buffer.from(text), raw); // the text is not UTF-8 otherwise
    expect(`${m.case}, byte ${m.at} = ${m.byte}`, valid ? judge(c, text).want : 'FAILED MALFORMED', m.want);
  }
  console.log(`receipt: ${v.cases.length} cases, ${v.mutations.length} mutations, ${differences} differences`);
  return differences === 0;
}

function main(args) {
  if (args.length === 1) process.exitCode = compare(args[0]) ? 0 : 3;
  if (args.length === 2) {
    const [network, text] = args.map((path) => readFileSync(path, 'utf8'));
    const found = verify(parseNetwork(network), text).want;
    console.log(found);
    process.exitCode = found === 'PASSED' ? 0 : found.startsWith('FAILED') ? 3 : 4;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.slice(2));
