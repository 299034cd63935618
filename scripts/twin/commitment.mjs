// A second implementation of docs/spec/commitment.md on Node's crypto, written from the page.
// Usage: node commitment.mjs vectors VECTORS.json   every vector is computed anew
//        node commitment.mjs verify FILE.mun.car CID   the copy or bundle proves what it discloses
// Exit code 0: it holds; 1: it does not; 2: wrong usage.
import { createCipheriv, createDecipheriv, createHash, createHmac } from "node:crypto";
import { readFileSync } from "node:fs";

const RAW = 0x55, DAG_CBOR = 0x71;
const MAX_LEAVES = 2 ** 24, MAX_PAYLOAD = 2 ** 20, CHUNK = 262144, RECORD = 37, INLINE = 1024;

const sha256 = (...parts) => parts.reduce((h, p) => h.update(p), createHash("sha256")).digest();
const u32 = (n) => { const b = Buffer.alloc(4); b.writeUInt32BE(n); return b; };
const u64 = (n) => { const b = Buffer.alloc(8); b.writeBigUInt64BE(BigInt(n)); return b; };
const check = (ok, why) => { if (!ok) throw new Error(why); };
const same = (got, want, what) => check(Buffer.compare(got, want) === 0, `${what}: got ${got.toString("hex")}, want ${want.toString("hex")}`);

// --- keys (section 4) ---

function expand64(key, info) {
  const t1 = createHmac("sha256", key).update(info).update(Buffer.of(1)).digest();
  const t2 = createHmac("sha256", key).update(t1).update(info).update(Buffer.of(2)).digest();
  return [t1, t2];
}
const depthOf = (n) => { let d = 0; while (2 ** d < n) d++; return d; };

// leafSeeds lists [index, seed] of the leaves below a node, in order.
function* leafSeeds(level, index, seed, n) {
  if (index * 2 ** level >= n) return;
  if (level === 0) { yield [index, seed]; return; }
  const [left, right] = expand64(seed, "MUN1 ggm");
  yield* leafSeeds(level - 1, 2 * index, left, n);
  yield* leafSeeds(level - 1, 2 * index + 1, right, n);
}

// stateOf computes the state of a record key with some leaves punctured, from the
// definition: the largest subtrees that are all live.
function stateOf(key, n, gone) {
  const entries = [];
  (function visit(level, index, seed) {
    const first = index * 2 ** level, end = Math.min((index + 1) * 2 ** level, n);
    if (first >= n) return;
    const hit = gone.filter(([a, b]) => a < end && b >= first);
    if (hit.length === 0) { entries.push(Buffer.concat([Buffer.of(level), u32(index), seed])); return; }
    if (level === 0) return;
    const [left, right] = expand64(seed, "MUN1 ggm");
    visit(level - 1, 2 * index, left);
    visit(level - 1, 2 * index + 1, right);
  })(depthOf(n), 0, key);
  return Buffer.concat([Buffer.of(1, depthOf(n)), u32(n), u32(entries.length), ...entries]);
}

// --- leaves, tree, manifest (sections 2 and 5) ---

function leafBlock(index, kind, payload, salt) {
  return Buffer.concat([Buffer.of(0), Buffer.from("MUN1LEAF"), Buffer.of(kind, 0, 0), u32(index), u64(payload.length), Buffer.alloc(8), salt, payload]);
}
const nodeHash = (left, right) => sha256(Buffer.of(1), left, right);

// rootOf follows RFC 6962 section 2.1: the left part has the largest power of two of leaves.
function rootOf(hashes) {
  if (hashes.length === 1) return hashes[0];
  const k = 2 ** (depthOf(hashes.length) - 1);
  return nodeHash(rootOf(hashes.slice(0, k)), rootOf(hashes.slice(k)));
}

const cidOf = (codec, digest) => Buffer.concat([Buffer.of(1, codec, 0x12, 0x20), digest]);
function cidText(cid) {
  let bits = "", text = "b";
  for (const byte of cid) bits += byte.toString(2).padStart(8, "0");
  for (let i = 0; i < bits.length; i += 5) text += "abcdefghijklmnopqrstuvwxyz234567"[parseInt(bits.slice(i, i + 5).padEnd(5, "0"), 2)];
  return text;
}

function padme(n) {
  if (n < 2) return n;
  const e = 31 - Math.clz32(n), s = 32 - Math.clz32(e), unit = 2 ** (e - s);
  return Math.ceil(n / unit) * unit;
}

// --- DAG-CBOR, as far as it is needed, strict both ways ---

class Link { constructor(cid) { this.cid = cid; this.codec = cid[1]; this.key = cid.toString("hex"); } }

function head(major, n) {
  if (n < 24) return Buffer.of((major << 5) | n);
  if (n < 256) return Buffer.of((major << 5) | 24, n);
  if (n < 65536) return Buffer.of((major << 5) | 25, n >> 8, n & 255);
  return Buffer.concat([Buffer.of((major << 5) | 26), u32(n)]);
}
function encode(v) {
  if (typeof v === "number") return head(0, v);
  if (typeof v === "string") return Buffer.concat([head(3, Buffer.byteLength(v)), Buffer.from(v)]);
  if (Buffer.isBuffer(v)) return Buffer.concat([head(2, v.length), v]);
  if (v instanceof Link) return Buffer.concat([head(6, 42), encode(Buffer.concat([Buffer.of(0), v.cid]))]);
  if (Array.isArray(v)) return Buffer.concat([head(4, v.length), ...v.map(encode)]);
  const keys = Object.keys(v).sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
  return Buffer.concat([head(5, keys.length), ...keys.flatMap((k) => [encode(k), encode(v[k])])]);
}
function decode(raw) {
  let at = 0;
  const take = (n) => { check(at + n <= raw.length, "cbor: bytes are missing"); return raw.subarray(at, (at += n)); };
  const item = () => {
    const first = take(1)[0], major = first >> 5;
    let n = first & 31;
    check(n <= 26, "cbor: length");
    if (n >= 24) n = take(2 ** (n - 24)).reduce((a, b) => a * 256 + b, 0);
    switch (major) {
      case 0: return n;
      case 2: return take(n);
      case 3: return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(take(n));
      case 4: { check(n <= raw.length - at, "cbor: array"); const list = []; while (n-- > 0) list.push(item()); return list; }
      case 5: { check(n <= raw.length - at, "cbor: map"); const map = {}; while (n-- > 0) { const k = item(); check(typeof k === "string", "cbor: key"); map[k] = item(); } return map; }
      case 6: { check(n === 42, "cbor: tag"); const b = item(); check(Buffer.isBuffer(b) && b[0] === 0, "cbor: link"); return new Link(strictCID(b.subarray(1))); }
    }
    throw new Error("cbor: type");
  };
  const value = item();
  same(encode(value), raw, "cbor: not canonical");
  return value;
}
function strictCID(b) {
  check(b.length === 36 && b[0] === 1 && (b[1] === RAW || b[1] === DAG_CBOR) && b[2] === 0x12 && b[3] === 0x20, "not a CIDv1 of SHA-256");
  return b;
}
function keysAre(map, ...keys) {
  check(map && Object.getPrototypeOf(map) === Object.prototype && Object.keys(map).join() === keys.join(), `map is not of ${keys}`);
}

function manifestOf(n, profile, root) {
  return encode({ n, v: 1, alg: "mun1-sha256", seg: profile, root: new Link(cidOf(RAW, root)) });
}
function parseManifest(raw) {
  const m = decode(raw);
  keysAre(m, "n", "v", "alg", "seg", "root");
  check(m.v === 1 && m.alg === "mun1-sha256", "manifest: version");
  check(Number.isInteger(m.n) && m.n >= 1 && m.n <= MAX_LEAVES, "manifest: n");
  check(typeof m.seg === "string" && /^[\x21-\x7e]{1,64}$/.test(m.seg), "manifest: profile");
  check(m.root instanceof Link && m.root.codec === RAW, "manifest: root");
  return { n: m.n, profile: m.seg, root: m.root.cid.subarray(4) };
}

// --- CAR files (section 8) ---

function uvarint(raw, at) {
  let value = 0, width = 0, byte;
  do {
    check(at + width < raw.length && width < 5, "uvarint");
    byte = raw[at + width];
    value += (byte & 127) * 128 ** width++;
  } while (byte & 128);
  check(width === 1 || byte !== 0, "uvarint: not in its shortest form");
  return [value, width];
}
function parseCAR(raw) {
  const sections = [];
  for (let at = 0; at < raw.length; ) {
    const [length, width] = uvarint(raw, at);
    at += width;
    check(length > 0 && at + length <= raw.length && length <= 36 + 2 ** 20, "car: section");
    sections.push(raw.subarray(at, (at += length)));
  }
  check(sections.length > 1, "car: no blocks");
  const header = decode(sections.shift());
  keysAre(header, "roots", "version");
  check(header.version === 1 && header.roots.length === 1 && header.roots[0] instanceof Link, "car: header");
  const car = { root: header.roots[0], blocks: new Map(), seen: [], size: raw.length };
  for (const s of sections) {
    check(s.length >= 36, "car: section");
    const cid = strictCID(s.subarray(0, 36)), key = cid.toString("hex"), data = s.subarray(36);
    check(!car.blocks.has(key), "car: a block comes twice");
    same(sha256(data), cid.subarray(4), "car: a block has other bytes than its CID names");
    car.blocks.set(key, data);
  }
  // visit returns a block and notes when it was first asked for: files are in that order.
  const noted = new Set();
  car.visit = (link, codec) => {
    check(link instanceof Link && link.codec === codec, "a link is missing or of the wrong codec");
    check(car.blocks.has(link.key), `block ${cidText(link.cid)} is missing`);
    if (!noted.has(link.key)) { noted.add(link.key); car.seen.push(link.key); }
    return car.blocks.get(link.key);
  };
  car.finish = () => check([...car.blocks.keys()].join() === car.seen.join(), "car: blocks unused or out of order");
  return car;
}

// --- redacted copies (section 7) ---

function chunks(car, links, size) {
  check(Array.isArray(links), "no list of links");
  return links.map((link, i) => {
    const b = car.visit(link, RAW);
    check(b.length > 0 && b.length <= size && (i === links.length - 1 || b.length === size), "a chunk is of the wrong size");
    return b;
  });
}
function nodeList(car, list) {
  check(Array.isArray(list), "no list of nodes");
  const nodes = [];
  let next = 0;
  const add = (level, index, value) => {
    check(Number.isInteger(level) && level <= 24 && Number.isInteger(index) && Buffer.isBuffer(value) && value.length === 32, "node");
    check(index * 2 ** level >= next, "nodes are out of order");
    next = (index + 1) * 2 ** level;
    nodes.push({ level, index, value });
  };
  if (list.length === 0 || Array.isArray(list[0])) {
    check(list.length <= INLINE, "list of nodes is too long to stand inline");
    for (const entry of list) { check(Array.isArray(entry) && entry.length === 3, "node"); add(...entry); }
    return nodes;
  }
  for (const b of chunks(car, list, Math.floor(CHUNK / RECORD) * RECORD)) {
    check(b.length % RECORD === 0, "block of nodes is cut short");
    for (let at = 0; at < b.length; at += RECORD) add(b[at], b.readUInt32BE(at + 1), b.subarray(at + 5, at + RECORD));
  }
  check(nodes.length > INLINE, "list of nodes belongs inline");
  return nodes;
}

// verifyCopy throws, or returns {n, profile, leaves: [{index, kind, payload}], hidden: [[first, last]]}.
function verifyCopy(car, link, cid) {
  const block = decode(car.visit(link, DAG_CBOR));
  keysAre(block, "v", "dat", "hid", "len", "man", "opn", "typ");
  check(block.v === 1 && block.typ === "mun1.copy", "copy: version");
  const dat = chunks(car, block.dat, CHUNK);
  const hid = nodeList(car, block.hid);
  let len;
  if (block.len instanceof Link) len = [car.visit(block.len, RAW)];
  else { len = chunks(car, block.len, CHUNK); check(len.length > 1, "copy: lengths belong in one block"); }
  len = Buffer.concat(len);
  const manifestRaw = car.visit(block.man, DAG_CBOR), { n, profile, root } = parseManifest(manifestRaw);
  const opn = nodeList(car, block.opn);
  check(cidText(cidOf(DAG_CBOR, sha256(manifestRaw))) === cid, "copy: of another record");

  const datBytes = dat.reduce((sum, b) => sum + b.length, 0);
  const count = opn.reduce((sum, d) => sum + Math.max(0, Math.min((d.index + 1) * 2 ** d.level, n) - d.index * 2 ** d.level), 0);
  check(count <= 65536 + car.size / 2 && datBytes <= 2 ** 26 + 64 * car.size, "copy: declares more than its file can hold");
  check(len.length >= 2 * count && len.length <= 4 * count, "copy: lengths");

  const leaves = [], hidden = [], content = Buffer.concat(dat);
  let lenAt = 0, datAt = 0;
  const leafHash = (index, seed) => {
    const kind = len[lenAt++], [length, width] = uvarint(len, lenAt);
    lenAt += width;
    check(kind >= 1 && kind <= 4 && length <= MAX_PAYLOAD && datAt + length <= content.length, `leaf ${index}: kind or length`);
    check((kind !== 3 || length === 40) && (kind !== 4 || length === 0), `leaf ${index}: length of its kind`);
    const payload = content.subarray(datAt, (datAt += length));
    leaves.push({ index, kind, payload });
    return sha256(leafBlock(index, kind, payload, expand64(seed, "MUN1 leaf")[1]));
  };
  const visit = (level, index) => {
    const is = (list) => list.length > 0 && list.at(-1).level === level && list.at(-1).index === index;
    const first = index * 2 ** level, end = Math.min((index + 1) * 2 ** level, n);
    if (is(hid)) {
      if (hidden.length > 0 && hidden.at(-1)[1] === first - 1) hidden.at(-1)[1] = end - 1;
      else hidden.push([first, end - 1]);
      return { kind: "hid", hash: hid.pop().value };
    }
    if (is(opn)) {
      const hashes = [];
      for (const [i, seed] of leafSeeds(level, index, opn.pop().value, n)) hashes.push(leafHash(i, seed));
      return { kind: "opn", hash: rootOf(hashes) };
    }
    check(level > 0, `leaf ${index} is neither hidden nor disclosed`);
    const left = visit(level - 1, 2 * index);
    if ((2 * index + 1) * 2 ** (level - 1) >= n) {
      check(left.kind === "mixed", "cover is not the largest");
      return left;
    }
    const right = visit(level - 1, 2 * index + 1);
    check(left.kind === "mixed" || left.kind !== right.kind, "cover is not the largest");
    return { kind: "mixed", hash: nodeHash(left.hash, right.hash) };
  };
  hid.reverse();
  opn.reverse();
  same(visit(depthOf(n), 0).hash, root, "copy: root");
  check(hid.length === 0 && opn.length === 0 && lenAt === len.length && datAt === content.length, "copy: holds more than its leaves need");
  const all = Buffer.concat(leaves.filter((l) => l.kind === 1).map((l) => l.payload));
  for (const l of leaves) if (l.kind === 3) same(l.payload, Buffer.concat([u64(all.length), sha256(all)]), "copy: digest");
  return { n, profile, leaves, hidden };
}

// verifyFile reads a copy or an evidence bundle and adds the receipts of the latter.
function verifyFile(raw, cid) {
  const car = parseCAR(raw), block = decode(car.visit(car.root, DAG_CBOR));
  let opened, receipts = [];
  if (block.typ === "mun1.evidence") {
    keysAre(block, "v", "typ", "copy", "receipts");
    check(block.v === 1 && Array.isArray(block.receipts) && block.receipts.length <= 1024, "evidence: version");
    opened = verifyCopy(car, block.copy, cid);
    receipts = block.receipts.map((link) => car.visit(link, RAW));
    check(receipts.every((r) => r.length > 0 && r.length <= CHUNK), "evidence: size of a receipt");
  } else {
    opened = verifyCopy(car, car.root, cid);
  }
  car.finish();
  return { ...opened, receipts };
}

// verifyExploded reads exploded leaves and returns their indices.
function verifyExploded(raw, cid) {
  const car = parseCAR(raw), block = decode(car.visit(car.root, DAG_CBOR));
  keysAre(block, "v", "man", "typ", "root", "leaves");
  check(block.v === 1 && block.typ === "mun1.leaves", "leaves: version");
  const manifest = car.visit(block.man, DAG_CBOR);
  check(cidText(cidOf(DAG_CBOR, sha256(manifest))) === cid, "leaves: of another record");
  same(block.root.cid.subarray(4), parseManifest(manifest).root, "leaves: root");
  car.visit(block.root, RAW);
  const indices = block.leaves.map((link) => car.visit(link, RAW).readUInt32BE(12));
  car.finish();
  return indices;
}

// --- vectors ---

const hex = (text) => Buffer.from(text, "hex");

function checkRecord(v) {
  const n = v.leaves.length, key = hex(v.key);
  const hashes = [];
  for (const [i, seed] of leafSeeds(depthOf(n), 0, key, n)) {
    const want = v.leaves[i], [enc, salt] = expand64(seed, "MUN1 leaf"), payload = hex(want.payload);
    same(enc, hex(want.enc), `leaf ${i}: enc`);
    same(salt, hex(want.salt), `leaf ${i}: salt`);
    hashes.push(sha256(leafBlock(i, want.kind, payload, salt)));
    same(hashes[i], hex(want.hash), `leaf ${i}: hash`);
    if (want.kind === 2) {
      const field = decode(payload);
      check(field.length === 2 && /^[a-z0-9-]{1,64}$/.test(field[0]), `leaf ${i}: field`);
    }
  }
  const root = rootOf(hashes), manifest = manifestOf(n, v.profile, root);
  same(root, hex(v.root), "root");
  same(manifest, hex(v.manifest), "manifest");
  same(sha256(manifest), hex(v.commitment), "commitment");
  check(cidText(cidOf(DAG_CBOR, sha256(manifest))) === v.cid, "cid");
  for (const s of v.states) same(stateOf(key, n, s.punctured), hex(s.state), "state");
  for (const c of [...v.copies, ...v.bundles.map((b) => ({ ...b, hidden: b.hidden }))]) {
    const opened = verifyFile(hex(c.car), v.cid);
    check(JSON.stringify(opened.hidden) === JSON.stringify(c.hidden), "copy: hidden leaves");
    const isHidden = (i) => c.hidden.some(([a, b]) => a <= i && i <= b);
    const want = v.leaves.map((l, i) => [i, l.kind, l.payload]).filter(([i]) => !isHidden(i));
    check(JSON.stringify(opened.leaves.map((l) => [l.index, l.kind, l.payload.toString("hex")])) === JSON.stringify(want), "copy: disclosed leaves");
    if (c.cid) check(cidText(parseCAR(hex(c.car)).root.cid) === c.cid, "copy: cid");
    if (c.receipts) check(opened.receipts.map((r) => r.toString("hex")).join() === c.receipts.join(), "bundle: receipts");
    if (c.leavesCar) {
      const indices = verifyExploded(hex(c.leavesCar), v.cid);
      check(indices.join() === want.map(([i]) => i).join(), "leaves: indices");
    }
  }
}

function checkSealed(v) {
  const sealed = hex(v.sealed), payload = hex(v.payload);
  const context = Buffer.concat([Buffer.from("MUN1 seg"), hex(v.rid), u32(v.index), Buffer.of(v.kind)]);
  const d = createDecipheriv("aes-256-gcm", hex(v.enc), sealed.subarray(0, 12)).setAAD(context).setAuthTag(sealed.subarray(-16));
  const plain = Buffer.concat([d.update(sealed.subarray(12, -16)), d.final()]);
  const want = Buffer.alloc(Math.max(32, padme(4 + payload.length)));
  u32(payload.length).copy(want);
  payload.copy(want, 4);
  same(plain, want, "sealed: plaintext");
  const c = createCipheriv("aes-256-gcm", hex(v.enc), sealed.subarray(0, 12)).setAAD(context);
  same(Buffer.concat([sealed.subarray(0, 12), c.update(want), c.final(), c.getAuthTag()]), sealed, "sealed");
}

function checkVectors(file) {
  const all = JSON.parse(readFileSync(file, "utf8"));
  check(all.scheme === "mun1-sha256" && all.records.length > 0, "no vectors");
  for (const v of all.records) {
    try { checkRecord(v); } catch (err) { throw new Error(`${v.name}: ${err.message}`); }
  }
  for (const v of all.sealed) checkSealed(v);
  for (const v of all.padding) check(padme(v.n) === v.padme && Math.max(32, padme(v.n)) === v.sealed, `padding of ${v.n}`);
  console.log(`${all.records.length} records, ${all.sealed.length} sealed segments, ${all.padding.length} paddings: all hold`);
}

const [command, file, cid] = process.argv.slice(2);
try {
  if (command === "vectors" && file) checkVectors(file);
  else if (command === "verify" && file && cid) {
    const opened = verifyFile(readFileSync(file), cid);
    console.log(`verified: ${opened.leaves.length} of ${opened.n} leaves disclosed, profile ${opened.profile}, ${opened.receipts.length} receipts`);
  } else {
    console.error("usage: node commitment.mjs vectors FILE | verify CAR CID");
    process.exit(2);
  }
} catch (err) {
  console.error(`refused: ${err.message}`);
  process.exit(1);
}
