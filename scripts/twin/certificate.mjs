// A second implementation of docs/spec/certificate.md and held.md, but for the words
// of the statement, on the twins of receipts and of legality files. Usage:
//
//   node scripts/twin/certificate.mjs docs/spec/vectors/certificate.json
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  ascending, decode, fieldsOf, indexesIn, malformedOr, need, outcome, parseEntry, parseNetwork, parseState, readLeaves, refuse, same, sha256, verify, verifyState,
} from './receipt.mjs';
import { verifyLegality } from './legality.mjs';

const [DESTROY, REDACT] = [1n, 4n];
const PRESERVED = 2n; // outcome of a report

// ---- the text ----

const BEGIN = '--- PROOF ---\n';
const END = '--- END OF PROOF ---\n';

export function parseCertificate(raw) {
  need(raw.length <= 8 << 20);
  const title = Buffer.from('muniment certificate v1\n');
  need(same(raw.subarray(0, title.length), title));
  const cut = raw.indexOf(`\n${BEGIN}`, title.length);
  need(cut >= 0);
  let rest = raw.subarray(cut + 1 + BEGIN.length);
  const parts = [];
  while (parts.length < 3 + 2 * 64 && !same(rest.subarray(0, END.length), Buffer.from(END))) {
    const line = /^part ([a-z]+) ([1-9][0-9]{0,9})\n/.exec(rest.subarray(0, 64).toString('latin1'));
    need(line !== null && line[0].length + Number(line[2]) <= rest.length);
    parts.push({ name: line[1], data: rest.subarray(line[0].length, line[0].length + Number(line[2])) });
    rest = rest.subarray(line[0].length + Number(line[2]));
  }
  need(same(rest.subarray(0, END.length), Buffer.from(END)) && rest.length - END.length <= 256 << 10);
  const [legality, holds, state, ...more] = parts;
  need(legality?.name === 'legality' && holds?.name === 'holds' && state?.name === 'state');
  const reports = [];
  for (const p of more) {
    if (p.name === 'report') reports.push({ receipt: p.data.toString() });
    else need(p.name === 'text' && reports.length > 0 && reports.at(-1).text === undefined) && (reports.at(-1).text = p.data);
  }
  return { legality: legality.data.toString(), holds: holds.data.toString(), state: state.data.toString(), reports };
}

// ---- holds (docs/spec/held.md) ----

const HELD = 'muniment/v1/held\n';
const LINE = 'c2sp.org/tlog-proof@v1\n';

const u64 = (i) => { const b = Buffer.alloc(8); b.writeBigUInt64BE(BigInt(i)); return b; };
const stateKey = (prefix, i) => Buffer.concat([Buffer.from(prefix), u64(i)]);
const unzigzag = (v) => (v >> 1n) ^ -(v & 1n);

function holdsText(text) {
  need(text.startsWith(HELD));
  return text.slice(HELD.length).split(new RegExp(`(?<=\\n)(?=${LINE.replaceAll('.', '\\.')})`));
}

function verifyHeld(n, text) {
  const parts = holdsText(text);
  let worst = null;
  for (const [i, part] of parts.entries()) {
    const { want } = (i === 0 ? verify : verifyState)(n, part);
    if (want !== 'PASSED' && (worst === null || want.startsWith('FAILED'))) worst = want;
    if (worst?.startsWith('FAILED')) break;
  }
  return worst;
}

// earliest is the first day that may stand in the log as a day.
function earliest(day) {
  const date = new Date(Number(day) * 86_400_000);
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
  const next = new Date(date.getTime() + 86_400_000);
  if (next.getUTCMonth() === month) return day;
  return BigInt(Math.round(Date.UTC(year, month === 11 ? 0 : month, 1) / 86_400_000));
}

function readHeld(text) {
  const [first, ...more] = holdsText(text);
  need(more.length >= 4);
  const anchored = readLeaves(first, 1n, 64 << 10, 8);
  const states = more.map(parseState);
  const anchor = parseEntry(anchored.entry);
  need(anchor.kind === 'anchor', 'RECEIPT_OF_ANOTHER');
  const { checkpoint: tree } = states[0];
  const wanted = [`held/${anchor.office}/${anchor.series}`, `held/${anchor.office}/`, 'held//'].map((k) => Buffer.from(k)).concat([stateKey('record/', anchored.index)]);
  for (const [i, s] of states.entries()) {
    need(i >= wanted.length || same(s.key, wanted[i]), 'RECEIPT_OF_ANOTHER');
    need(s.checkpoint.size === tree.size && same(s.checkpoint.root, tree.root));
  }
  need(tree.size > anchored.index);
  const undated = (anchor.flags & 1n) === 1n;
  const found = (states[3].value === null ? [] : decode(states[3].value)[8]).map(([hold, entry]) => ({ hold, entry }));
  for (const s of states.slice(0, 3)) {
    for (const [hold, entry, dated, from, to, release] of s.value === null ? [] : decode(s.value)[1]) {
      const over = release !== 0n && release < BigInt(anchored.index);
      const within = dated === 0n || undated || (earliest(anchor.day) <= unzigzag(to) && unzigzag(from) <= anchor.day);
      if (!over && within) found.push({ hold, entry });
    }
  }
  found.sort((a, b) => Number(a.hold - b.hold) || Number(a.entry - b.entry));
  const given = states.slice(4);
  const covering = found.filter((f, i) => i === 0 || found[i - 1].hold !== f.hold).map(({ hold, entry }) => {
    const s = given.shift();
    need(s !== undefined && s.value !== null && same(s.key, stateKey('hold/', hold)), 'RECEIPT_OF_ANOTHER');
    const value = decode(s.value);
    const part = value[8].find((p) => p[0] === entry);
    need(part !== undefined, 'RECEIPT_OF_ANOTHER');
    return { since: entry, brought: part[1], released: value[9], by: value[10] };
  });
  need(given.length === 0, 'RECEIPT_OF_ANOTHER');
  return { record: anchored.index, size: tree.size, covering };
}

function judgeHolds(l, h) {
  need(h.record === l.record.index, 'RECEIPT_OF_ANOTHER');
  need(h.size > l.item);
  const [proposed, locked] = [BigInt(l.disposition), BigInt(l.lock)];
  const between = (i) => i > proposed && i < locked;
  for (const c of h.covering) {
    need(!(c.since < locked && (c.released === 0n || c.released > locked)), 'HELD');
    need(!(between(c.since) && l.parties.includes(c.brought)) && !(between(c.released) && l.parties.includes(c.by)), 'SAME_OFFICE');
  }
}

// ---- reports (docs/spec/erasure.md) ----

const N = '(0|[1-9][0-9]*)';
const CODE = '([A-Z0-9.-]{1,16})';
const DAY = '(-?[0-9]{4}-[0-9]{2}-[0-9]{2})';
const HEAD = new RegExp(`^muniment erasure report v1\ndisposition ${N}\ncustodian ([0-9a-f]{64})\nclaim (C1|C3)\ndevice (key file|PKCS#11)\nfollowed ${N}\nday ${DAY}\n`);
const RING = new RegExp(`^ring ${CODE} ${CODE} epochs ${N} ${N} kept ${N} ended ${N} needles ${N} files ${N} bytes ${N}\n`);
const RECORD = new RegExp(`^record ${N} (erased|redacted|preserved|absent) attempts ${N} alike ${N} released ${N}\n`);
const RELEASE = new RegExp(`^release ${DAY} ${CODE} (read|copy|evidence) (whole|part) [0-9a-f]{64}\n`);

function parseReport(text) {
  let rest = text;
  const take = (pattern) => {
    const found = pattern.exec(rest);
    if (found !== null) rest = rest.slice(found[0].length);
    return found;
  };
  const head = take(HEAD);
  need(head !== null && head[1] !== '0' && head[5] !== '0', 'REPORT_CONTRADICTED');
  need((head[3] === 'C3') === (head[4] === 'PKCS#11'), 'REPORT_CONTRADICTED');
  for (let ring; (ring = take(RING)) !== null;) need(BigInt(ring[4]) === BigInt(ring[3]) + 1n, 'REPORT_CONTRADICTED');
  const records = new Map();
  const order = [];
  for (let record; (record = take(RECORD)) !== null;) {
    let releases = 0;
    while (take(RELEASE) !== null) releases++;
    need(releases <= 64 && releases <= Number(record[5]), 'REPORT_CONTRADICTED');
    records.set(record[1], record[2]);
    order.push(BigInt(record[1]));
  }
  need(rest === '' && order.length > 0 && ascending(order), 'REPORT_CONTRADICTED');
  return { disposition: head[1], custodian: head[2], claim: BigInt(head[3].slice(1)), followed: Number(head[5]), records };
}

// readReport gives what a report says of the record, and whether its text is there.
function readReport(l, reporter, { receipt, text }) {
  const r = readLeaves(receipt, 1n, 64 << 10, 8);
  const e = parseEntry(r.entry);
  const [office, custodian, entry] = reporter;
  need(e.kind === 'report' && BigInt(r.index) === entry && e.office === office && same(e.custodian, custodian) && e.disposition === BigInt(l.disposition), 'RECEIPT_OF_ANOTHER');
  const tx = r.leaves.map((leaf) => parseEntry(leaf.entry)).find((leaf) => leaf.kind === 'transaction');
  const body = fieldsOf(fieldsOf(tx.body)[37]);
  const listed = body[3] === undefined ? [] : indexesIn(body[3]);
  const record = BigInt(l.record.index);
  const kept = body[2] === PRESERVED || listed.includes(record);
  const done = l.action === REDACT ? 'redacted' : 'erased';
  const said = kept ? 'preserved' : done;
  const named = body[4] !== undefined;
  if (text === undefined) return { outcome: said, lacks: office === '' && named };
  const contradicts = (holds) => need(holds, 'REPORT_CONTRADICTED');
  contradicts(named && same(sha256(text), body[4]));
  const t = parseReport(text.toString());
  contradicts(BigInt(t.disposition) === BigInt(l.disposition) && t.custodian === custodian.toString('hex'));
  contradicts(body[2] === PRESERVED || t.claim === (body[5] ?? 0n));
  contradicts(t.followed > l.lock);
  const outcomeOf = t.records.get(String(l.record.index));
  contradicts(outcomeOf === said || (outcomeOf === 'absent' && !kept));
  return { outcome: outcomeOf, lacks: false };
}

// ---- the certificate ----

function worse(found) {
  const [, reason] = found.split(' ');
  refuse(reason);
}

export function verifyCertificate(n, raw) {
  return outcome(() => {
    const p = malformedOr(() => parseCertificate(raw));
    const l = verifyLegality(n, p.legality);
    if (l.want.startsWith('FAILED')) worse(l.want);
    const held = malformedOr(() => verifyHeld(n, p.holds));
    if (held !== null && (l.want === 'PASSED' || held.startsWith('FAILED'))) worse(held);
    if (l.want !== 'PASSED') worse(l.want);
    judgeHolds(l, readHeld(p.holds));
    const proven = [[verifyState, p.state], ...p.reports.map((r) => [verify, r.receipt])].map(([check, text]) => check(n, text).want);
    for (const want of proven) if (want !== 'PASSED') worse(want);

    need(l.action === DESTROY || l.action === REDACT);
    const s = parseState(p.state);
    need(same(s.key, stateKey('disposition/', l.disposition)) && s.value !== null, 'RECEIPT_OF_ANOTHER');
    need(s.checkpoint.size > l.item);
    const d = malformedOr(() => decode(s.value));
    need(d.length === 19);
    need(d[16 - 1] === BigInt(l.lock) && d[1] === l.parties[0] && d[2] === l.series && d[3] === l.action, 'LOCK_CONTRADICTED');
    const given = [...p.reports];
    const reports = d[16].map((reporter) => {
      if (reporter[2] === 0n) return { due: true };
      need(given.length > 0, 'PART_MISSING');
      return readReport(l, reporter, given.shift());
    });
    need(given.length === 0, 'PART_UNEXPECTED');
    need(reports.every((r) => !r.due), 'REPORTS_DUE');
    need(reports.every((r) => !r.lacks), 'PART_MISSING');
    const outcomes = reports.map((r) => r.outcome);
    if (outcomes.includes('preserved')) return { want: 'PASSED PRESERVED' };
    if (outcomes.every((o) => o === 'absent')) return { want: 'PASSED ABSENT' };
    return { want: l.action === REDACT ? 'PASSED REDACTED' : 'PASSED DESTROYED' };
  });
}

function compare(path) {
  const v = JSON.parse(readFileSync(path, 'utf8'));
  const n = parseNetwork(v.network);
  let differences = 0;
  for (const c of v.cases) {
    const got = verifyCertificate(n, Buffer.from(c.text)).want;
    if (got === c.proof) continue;
    differences++;
    console.error(`${c.name}: the twin says ${got}, the vectors say ${c.proof}`);
  }
  console.log(`certificate: ${v.cases.length} cases, ${differences} differences`);
  return differences === 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = compare(process.argv[2]) ? 0 : 3;
