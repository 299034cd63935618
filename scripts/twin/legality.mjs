// A second implementation of docs/spec/legality.md, written from that page on
// the twins of receipts and of retention rules. Usage:
//
//   node scripts/twin/legality.mjs docs/spec/vectors/legality.json
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  checkAct, checkClocks, checkEra, checkSignatures, fieldsOf, indexesIn, inTree, keyIn, need, outcome, parseEntry, parseNetwork, readLeaves, same, sha256,
} from './receipt.mjs';
import { add, dayText, judge } from './retention.mjs';

const [DEPARTMENT, CLERK, COUNSEL, STATE_RECORDS, STATE_ARCHIVIST, LIBRARY_CEO, AUDITOR, IT, OPERATOR] = [1, 2, 3, 5, 6, 7, 8, 9, 12];
const [DESTROY, REDACT] = [1n, 4n];
const YEAR_1900 = -25567n;

const contradicts = (holds) => need(holds, 'LOCK_CONTRADICTED');
const zigzag = (v = 0n) => (v >> 1n) ^ -(v & 1n);
const ledgerDay = (nanos) => {
  const half = 43_200_000_000_000n;
  const days = (nanos - half) / (2n * half);
  return (nanos - half) % (2n * half) < 0n ? days - 1n : days;
};

// repeated lists what a field of a message holds each time that it occurs.
function repeated(raw, number) {
  const found = [];
  for (let rest = raw; rest.length > 0;) {
    let length = 1; // of the first field: the shortest start that is a message
    for (; length <= rest.length; length++) {
      try {
        const first = fieldsOf(rest.subarray(0, length));
        if (first[number] !== undefined) found.push(first[number]);
        break;
      } catch { /* cut short */ }
    }
    rest = rest.subarray(length);
  }
  return found;
}

function ruleIn(raw) {
  const f = fieldsOf(raw);
  const rule = { kind: Number(f[1]) };
  const number = (name, v) => { if (v !== undefined) rule[name] = Number(v); };
  number('count', f[2]);
  number('unit', f[3]);
  number('event', f[4]);
  number('year', f[5]);
  if (f[6] !== undefined) rule.series = f[6].toString();
  if (f[7] !== undefined) rule.rules = repeated(raw, 7).map(ruleIn);
  return rule;
}

// file is a legality file that is being read: what was not is unexpected.
class File {
  constructor(n, r) {
    this.network = n;
    this.read = new Set();
    this.entries = [{ index: r.index, entry: r.entry }, ...r.leaves].sort((a, b) => a.index - b.index)
      .map((l) => ({ ...parseEntry(l.entry), index: l.index }));
  }

  take(found) {
    need(found !== undefined, 'PART_MISSING');
    this.read.add(found.index);
    return found;
  }

  at(index) { return this.take(this.entries.find((e) => e.index === Number(index))); }

  last(is) { return this.take(this.entries.findLast(is)); }

  lastFact(before, number, is) {
    return this.last((e) => e.kind === 'fact' && e.index < before && fieldsOf(e.fact)[number] !== undefined && is(fieldsOf(fieldsOf(e.fact)[number])));
  }

  // fact reads a fact that is cited, of a kind by its number.
  fact(index, number) {
    const e = this.at(index);
    contradicts(e.kind === 'fact');
    const raw = fieldsOf(e.fact)[number];
    contradicts(raw !== undefined);
    return { index: e.index, raw, fields: fieldsOf(raw) };
  }

  // act reads an entry with its transaction, block and key.
  act(index, before) {
    contradicts(before === undefined || Number(index) < before);
    const entry = this.at(index);
    const covers = this.entries.findLast((e) => e.kind === 'transaction' && e.index < entry.index);
    const tx = this.take(covers && BigInt(entry.index - covers.index) <= covers.count ? covers : undefined);
    const next = this.entries.find((e) => e.kind === 'block' && e.index > entry.index);
    const block = this.take(next && next.first <= BigInt(entry.index) ? next : undefined);
    const key = this.last((e) => e.kind === 'fact' && fieldsOf(e.fact)[3] !== undefined && this.isKey(e, tx.keyID));
    const signer = { ...key, ...keyIn(key.fact) };
    checkAct(this.network, entry, { block, tx, key: signer });
    const body = tx.body.length > 0 ? fieldsOf(tx.body) : {};
    return { entry, index: entry.index, tx, body, office: signer.office, day: ledgerDay(block.time), height: block.height, time: block.time };
  }

  isKey(e, id) {
    const { publicKey } = keyIn(e.fact);
    return same(id, keyID(publicKey));
  }

  // roles reads the roles that an office had at an entry.
  roles(code, before) {
    const e = this.lastFact(before, 2, (o) => o[1].toString() === code);
    const o = fieldsOf(fieldsOf(e.fact)[2]);
    need(o[3] === 1n, 'WRONG_ROLE');
    return [...(o[2] ?? [])];
  }
}

const keyID = (publicKey) => sha256('muniment/v1/key\n', publicKey);
const anyOf = (roles, ...wanted) => wanted.some((r) => roles.includes(r));

// ---- steps 10 to 12 ----

function readLock(f, index) {
  const item = f.act(index);
  contradicts(item.entry.kind === 'item');
  const lock = f.act(item.tx.index + 1);
  contradicts(lock.entry.kind === 'lock' && lock.entry.disposition === item.entry.disposition);
  const roles = f.roles(lock.office, lock.index);
  contradicts(lock.entry.day === lock.day);
  need(anyOf(roles, IT, OPERATOR), 'WRONG_ROLE');
  return { item, lock };
}

function readProposal(f, { item, lock }) {
  const proposal = f.act(lock.entry.disposition, lock.index);
  contradicts(proposal.entry.kind === 'disposition');
  const roles = f.roles(proposal.office, lock.index);
  const asked = fieldsOf(proposal.body[32]);
  const records = indexesIn(asked[5]);
  contradicts(same(fieldsOf(lock.body[36])[2], proposal.tx.bodyHash));
  contradicts(lock.entry.count === proposal.entry.count && lock.entry.standing === (asked[4] ?? 0n));
  contradicts(records[item.index - lock.index - 1] === item.entry.record);
  need(anyOf(roles, DEPARTMENT, LIBRARY_CEO), 'WRONG_ROLE');
  const to = asked[3]?.toString(); // the office that takes over reports
  need(proposal.office !== lock.office && to !== proposal.office && to !== lock.office, 'SAME_OFFICE');
  return { proposal, series: asked[1].toString(), action: asked[2], to };
}

function readRecord(f, index, before) {
  const act = f.act(index, before);
  contradicts(act.entry.kind === 'anchor');
  const undated = (act.entry.flags & 1n) === 1n;
  return {
    act, index: BigInt(act.index), filings: 0, alone: undated || act.entry.day < YEAR_1900,
    facts: { created: undated ? null : dayText(Number(act.entry.day)), events: [], audits: [], fiscalStart: 0, series: '', file: null },
  };
}

// ---- step 13 ----

function readRules(f, { item, lock }, series) {
  const rules = item.entry.rules.map((index) => {
    const { fields } = f.fact(index, 8);
    const rule = {
      series: fields[3].toString(), rule: ruleIn(fields[4]), approvals: [...(fields[6] ?? [])],
      action: fields[5], days: fields[7] ?? 0n, heights: fields[8] ?? 0n, fiscalStart: Number(fields[9]),
    };
    const e = f.lastFact(Infinity, 9, (s) => s[1].equals(fields[1]) && s[2] === fields[2]);
    need(Number(index) < e.index && e.index < lock.index && zigzag(fieldsOf(fieldsOf(e.fact)[9])[4]) <= lock.day, 'NO_RULE');
    return rule;
  });
  const own = rules.filter((r) => r.series === series);
  need(own.length > 0, 'NO_RULE');
  const bySeries = new Map();
  for (const r of rules) bySeries.set(r.series, [...(bySeries.get(r.series) ?? []), r.rule]);
  return { own, schedule: new Map([...bySeries].map(([s, list]) => [s, list.length === 1 ? list[0] : { kind: 6, rules: list }])) };
}

// ---- step 14 ----

const EVENTS = ['', 'created', 'closed', 'audited', 'superseded', 'terminated', 'resolved', 'list-ended', 'demolished', 'accredited', 'election', 'left',
  'suspended', 'completed', 'need-ended', 'inactive', 'disposed'];

function readFacts(f, { item, lock }, record) {
  let file = null;
  const acts = item.entry.facts.map((index) => {
    const a = f.act(index, lock.index);
    contradicts(a.office === record.act.office);
    const filing = a.body[20] && fieldsOf(a.body[20]);
    if (filing?.[2] && indexesIn(filing[3]).includes(record.index)) file = readRecord(f, filing[2], a.index);
    return a;
  });
  for (const a of acts) {
    const about = [record, file].filter((r) => r !== null && state(r, a));
    contradicts(about.length > 0);
  }
  if (file !== null) {
    file.facts.series = file.act.entry.series;
    record.facts.file = file.facts;
  }
  if (item.entry.audit !== 0n) {
    const a = f.act(item.entry.audit, lock.index);
    contradicts(a.entry.kind === 'audit' && a.entry.department === record.act.office);
    need(anyOf(f.roles(a.office, a.index), AUDITOR), 'WRONG_ROLE');
    record.facts.audits = [[dayText(Number(a.entry.through)), dayText(Number(a.day))]];
    if (file !== null) file.facts.audits = record.facts.audits;
  }
}

// state adds what an act states about a record; it tells whether it does.
function state(r, a) {
  switch (a.entry.kind) {
    case 'events':
      if (!indexesIn(fieldsOf(a.body[19])[3]).includes(r.index)) return false;
      r.facts.events.push([EVENTS[Number(a.entry.event)], dayText(Number(a.entry.day))]);
      return true;
    case 'supersession':
      if (a.entry.record !== r.index) return false;
      r.facts.events.push(['superseded', dayText(Number(a.day))]);
      return true;
    case 'filing':
      if (!indexesIn(fieldsOf(a.body[20])[3]).includes(r.index)) return false;
      contradicts(r.filings++ === 0);
      r.facts.series = a.entry.series;
      return true;
    default:
      return contradicts(false);
  }
}

// ---- steps 15 to 18 ----

function judgeDue({ item, lock }, action, record, rules) {
  const duties = { review: false, notices: [] };
  const ends = rules.own.map((r) => {
    const found = { review: false, notice: { count: 0 } };
    for (const facts of [record.facts, record.facts.file]) if (facts !== null) facts.fiscalStart = r.fiscalStart;
    const end = judge(r.rule, record.facts, rules.schedule, found);
    duties.review ||= found.review;
    if (found.notice.count > 0) duties.notices.push(found.notice);
    return end;
  });
  duties.ripe = ends.every((e) => e.rank === 0 && BigInt(e.day) <= lock.day) && rules.own.every((r) => r.action === DESTROY);
  if (action !== DESTROY && !(action === REDACT && duties.ripe)) {
    contradicts(item.entry.due === 0n);
    return duties;
  }
  need(duties.ripe, 'NOT_DUE');
  need(BigInt(Math.max(...ends.map((e) => e.day))) === item.entry.due, 'NOT_DUE');
  return duties;
}

function judgeApprovals(f, { item, lock }, { proposal, series, to, action }, record, rules, duties) {
  const parties = [proposal.office, lock.office, to];
  const approvals = lock.entry.authorizations.map((index) => {
    const a = f.act(index, lock.index);
    contradicts(a.entry.kind === 'authorization' && a.entry.disposition === item.entry.disposition && same(a.entry.hash, proposal.tx.bodyHash));
    a.roles = f.roles(a.office, lock.index);
    need(!parties.includes(a.office), 'SAME_OFFICE');
    parties.push(a.office);
    need(lock.day - a.day <= 180n, 'MISSING_APPROVAL');
    return a;
  });
  let roles = rules.own.flatMap((r) => r.approvals);
  if (duties.review) roles.push(STATE_ARCHIVIST);
  if (lock.entry.standing !== 0n && stands(f, { lock }, proposal, series)) roles = [];
  if (action === REDACT) roles.push(CLERK, COUNSEL);
  if (record.alone || action === REDACT && !duties.ripe) roles.push(STATE_RECORDS);
  need(fills([...new Set(roles)], approvals.map((a) => a.roles)), 'MISSING_APPROVAL');
  const latest = (key) => [proposal, ...approvals].map((a) => a[key]).reduce((x, y) => (x > y ? x : y));
  need(rules.own.every((r) => (r.days === 0n || lock.day - latest('day') > r.days) && lock.height - latest('height') >= r.heights), 'NOTICE_PERIOD');
  return approvals;
}

function stands(f, { lock }, proposal, series) {
  contradicts(Number(lock.entry.standing) < proposal.index);
  const { fields, raw } = f.fact(lock.entry.standing, 11);
  return fields[1].toString() === proposal.office && repeated(raw, 2).some((s) => s.toString() === series) &&
    zigzag(fields[3]) <= lock.day && lock.day <= zigzag(fields[4]);
}

// fills tries every way of giving each role an office of its own.
function fills([role, ...rest], offices) {
  if (role === undefined) return true;
  return offices.some((has, i) => has.includes(role) && fills(rest, offices.toSpliced(i, 1)));
}

function judgeNotice(f, { item, lock }, proposal, duties) {
  let told = null;
  if (lock.entry.notice !== 0n) {
    told = f.act(lock.entry.notice, lock.index);
    contradicts(told.entry.kind === 'notice' && told.entry.disposition === item.entry.disposition && told.office === proposal.office && told.entry.day <= told.day);
  }
  for (const { count, unit } of duties.notices) {
    need(told !== null && BigInt(add(Number(told.entry.day), count, unit)) < lock.day, 'NOTICE_MISSING');
  }
}

export function verifyLegality(n, text) {
  return outcome(() => {
    const r = readLeaves(text, 3n, 1 << 20, 128);
    const standing = checkSignatures(n, r.checkpoint);
    need(inTree(r.checkpoint, r.index, r.entry, r.proof), 'ENTRY_NOT_IN_TREE');
    for (const l of r.leaves) need(inTree(r.checkpoint, l.index, l.entry, l.proof), 'PART_NOT_IN_TREE');
    checkEra(standing.era, r.checkpoint, []);
    const f = new File(n, r);
    const locked = readLock(f, r.index);
    const proposed = readProposal(f, locked);
    const { proposal, series, action } = proposed;
    const record = readRecord(f, locked.item.entry.record, proposal.index);
    contradicts(record.act.office === proposal.office && record.act.entry.series === series);
    need(!record.alone || locked.lock.entry.count === 1n, 'ONE_BY_ONE');
    const rules = readRules(f, locked, series);
    readFacts(f, locked, record);
    const duties = judgeDue(locked, action, record, rules);
    const approvals = judgeApprovals(f, locked, proposed, record, rules, duties);
    judgeNotice(f, locked, proposal, duties);
    need(f.entries.every((e) => f.read.has(e.index)), 'PART_UNEXPECTED');
    checkClocks(locked.lock.time, standing.notAfter);
    return { item: r.index, record: record.act, action, disposition: proposal.index, lock: locked.lock.index, series, parties: [proposal, locked.lock, ...approvals].map((a) => a.office) };
  });
}

function compare(path) {
  const v = JSON.parse(readFileSync(path, 'utf8'));
  const n = parseNetwork(v.network);
  let differences = 0;
  for (const c of v.cases) {
    const got = verifyLegality(n, c.text).want;
    if (got === c.want) continue;
    differences++;
    console.error(`${c.name}: the twin says ${got}, the vectors say ${c.want}`);
  }
  console.log(`legality: ${v.cases.length} cases, ${differences} differences`);
  return differences === 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = compare(process.argv[2]) ? 0 : 3;
