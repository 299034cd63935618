// A second implementation of docs/spec/retention.md, written from the page.
// Usage: node retention.mjs VECTORS.json   Exit code 0: every vector holds; 1: one does not.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

// ---- days ----

const DAY = 86_400_000;
const MIN_DAY = -719162;
const MAX_DAY = 2932896;
const clamp = (d) => Math.min(Math.max(d, MIN_DAY), MAX_DAY);

// utc gives the day of a date; month counts from 0 and may lie beyond the year.
function utc(year, month, day) {
  const date = new Date(0);
  date.setUTCFullYear(year, month, day);
  return Math.round(date.getTime() / DAY);
}

function parseDay(text) {
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text).map(Number);
  return utc(year, month - 1, day);
}

const dateOf = (d) => new Date(d * DAY);
const inWords = (d) => dateOf(d).toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });

export const dayText = (d) => {
  const date = dateOf(d);
  const pad = (n, width) => String(n).padStart(width, "0");
  return `${pad(date.getUTCFullYear(), 4)}-${pad(date.getUTCMonth() + 1, 2)}-${pad(date.getUTCDate(), 2)}`;
};

export function add(d, count, unit) {
  if (count === 0) return clamp(d);
  if (unit === 1) return clamp(clamp(d) + count);
  const date = dateOf(clamp(d));
  const month = date.getUTCMonth() + (unit === 3 ? 12 * count : count);
  const year = date.getUTCFullYear() + Math.floor(month / 12);
  if (year > 9999) return MAX_DAY;
  const lastOfMonth = utc(year, (month % 12) + 1, 0);
  return Math.min(utc(year, month % 12, 1) + date.getUTCDate() - 1, lastOfMonth);
}

function endOfYear(d, kind, start) {
  const first = kind === 2 ? start - 1 : 0;
  const date = dateOf(clamp(d));
  const year = date.getUTCFullYear() + (date.getUTCMonth() >= first ? 1 : 0);
  return clamp(utc(year, first, 0));
}

// ---- spelling ----

const EVENTS = ["created", "closed", "audited", "superseded", "terminated", "resolved", "list-ended", "demolished", "accredited",
  "election", "left", "suspended", "completed", "need-ended", "inactive", "disposed"];
const UNITS = ["day", "month", "year"];
const PERIOD = "(?:1 (?:day|month|year)|[1-9][0-9]{0,4} (?:days|months|years))";
const CODE = "(?=[0-9.-]*[A-Z])[A-Z0-9][A-Z0-9.-]{0,15}";

function readPeriod(text) {
  const [count, unit] = text.split(" ");
  if (count === "1" && unit.endsWith("s")) throw new Error("plural after 1");
  return { count: Number(count), unit: UNITS.indexOf(unit.replace(/s$/, "")) + 1 };
}

// split takes a list apart at the commas that stand in no bracket.
function split(text) {
  const parts = [];
  let depth = 0, from = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "(") depth++;
    if (text[i] === ")" && --depth < 0) throw new Error("brackets");
    // The comma of a need belongs to it.
    if (depth === 0 && text.startsWith(", ", i) && !text.startsWith(", at most ", i)) {
      parts.push(text.slice(from, i));
      from = i + 2;
    }
  }
  if (depth !== 0) throw new Error("brackets");
  return [...parts, text.slice(from)];
}

function readRule(text, depth, terms) {
  if (depth > 5 || ++terms.count > 24) throw new Error("limits");
  const fixed = { none: 1, permanent: 2, indefinite: 3 }[text];
  if (fixed) return { kind: fixed };
  if (text === "as the corresponding series") return { kind: 8 };
  const match = (pattern) => new RegExp(`^${pattern}$`).exec(text);
  let m;
  if ((m = match(`(?:(${PERIOD}) after|until) (?:the end of the (calendar|fiscal) year of )?([a-z-]+)`))) {
    const event = EVENTS.indexOf(m[3]) + 1;
    if (event === 0) throw new Error("event");
    const rule = { kind: m[2] ? 5 : 4, ...(m[1] ? readPeriod(m[1]) : {}), event };
    if (m[2]) rule.year = m[2] === "calendar" ? 1 : 2;
    return rule;
  }
  if ((m = match("(later|earlier) of \\((.*)\\)"))) {
    const parts = split(m[2]);
    if (parts.length < 2 || parts.length > 8) throw new Error("parts");
    return { kind: m[1] === "later" ? 6 : 7, rules: parts.map((part) => readRule(part, depth + 1, terms)) };
  }
  if ((m = match(`as series (${CODE})`))) return { kind: 8, series: m[1] };
  if ((m = match(`with the file of series (${CODE})`))) return { kind: 9, series: m[1] };
  if ((m = match(`as long as needed, at most (${PERIOD})`))) return { kind: 10, ...readPeriod(m[1]) };
  if ((m = match("after archival review: (.*)"))) return { kind: 11, rules: [readRule(m[1], depth + 1, terms)] };
  if ((m = match(`after (${PERIOD}) of notice: (.*)`))) return { kind: 12, ...readPeriod(m[1]), rules: [readRule(m[2], depth + 1, terms)] };
  throw new Error(`no rule: ${text}`);
}

function parse(text) {
  if (text.length > 2048 || !/^[ -~]*$/.test(text)) throw new Error("text");
  return readRule(text, 1, { count: 0 });
}

// ---- facts ----

const LACKING = ["the date of the record", "the day on which the case or file was closed", null, "the day on which the record was superseded",
  "the day of termination", "the day on which the matter was resolved", "the day on which the list ended",
  "the day on which the structure was demolished", "the day of the next accreditation", "the day of the election",
  "the day of leaving or graduating", "the day on which the project was suspended", "the day on which the project was completed",
  "the day on which the need ended", "the day on which the record became inactive", "the day of the final disposition of the charge"];

const due = (day) => ({ rank: 0, day, missing: [] });
const open = (...missing) => ({ rank: 1, day: 0, missing });
const NEVER = { rank: 2, day: 0, missing: [] };
const NO_START = "the first month of the fiscal year";

// when gives the day of an event as a number, or what is missing as text.
function when(facts, event) {
  if (event === 1 || event === 3) {
    if (facts.created === null) return LACKING[0];
    const created = parseDay(facts.created);
    if (event === 1) return created;
    if (!(facts.fiscalStart >= 1 && facts.fiscalStart <= 12)) return NO_START;
    const end = endOfYear(created, 2, facts.fiscalStart);
    const audit = facts.audits.find(([through]) => parseDay(through) >= end);
    return audit ? parseDay(audit[1]) : `the audit of the fiscal year that ends ${inWords(end)}`;
  }
  const days = facts.events.filter(([name]) => EVENTS.indexOf(name) + 1 === event).map(([, day]) => parseDay(day));
  return days.length > 0 ? Math.max(...days) : LACKING[event - 1];
}

// ---- meaning ----

const compare = (a, b) => a.rank - b.rank || a.day - b.day;

function combine(ends, sign) {
  const best = ends.reduce((a, b) => (sign * compare(b, a) > 0 ? b : a));
  if (best.rank !== 1) return best;
  return open(...new Set(ends.filter((e) => e.rank === 1).flatMap((e) => e.missing)));
}

function after(rule, facts) {
  let day = when(facts, rule.event);
  if (typeof day === "string") return open(day);
  if (rule.kind === 5) {
    if (rule.year === 2 && !(facts.fiscalStart >= 1 && facts.fiscalStart <= 12)) return open(NO_START);
    day = endOfYear(day, rule.year, facts.fiscalStart);
  }
  if (rule.kind === 4 && rule.event === 3 && !rule.count) return due(day); // the moment of the posting is known
  return due(add(day, rule.count ?? 0, rule.unit) + 1);
}

const needTerms = (rule) => [{ kind: 4, event: 14 }, { kind: 4, count: rule.count, unit: rule.unit, event: 1 }];

// judge gives the end of a rule, and notes its duties.
export function judge(rule, facts, schedule, duties, references = 0) {
  const parts = () => rule.rules.map((part) => judge(part, facts, schedule, duties, references));
  switch (rule.kind) {
    case 1: return due(MIN_DAY);
    case 2: case 3: return NEVER;
    case 4: case 5: return after(rule, facts);
    case 6: return combine(parts(), 1);
    case 7: return combine(parts(), -1);
    case 10: return combine(needTerms(rule).map((term) => after(term, facts)), -1);
    case 11: duties.review = true; return parts()[0];
    case 12: duties.notice = longer(duties.notice, rule); return parts()[0];
  }
  const series = rule.series ?? facts.series;
  if (series === "") return open("the series to which the record corresponds");
  if (rule.kind === 9) {
    facts = facts.file;
    if (facts === null || facts.series !== series) return open(`the file of series ${series} into which the record was merged`);
  }
  if (references === 2) return open(`a rule of series ${series} that can be reached without further detours`);
  if (!schedule.has(series)) return open(`a rule in force for series ${series}`);
  return judge(schedule.get(series), facts, schedule, duties, references + 1);
}

// ---- periods and comparison ----

const months = (p) => (p.unit === 3 ? 12 * p.count : p.count);

function bounds(p) {
  if (!p.count) return [0, 0];
  if (p.unit === 1) return [p.count, p.count];
  const years = Math.floor(months(p) / 12), rest = months(p) % 12;
  return [365 * years + (rest > 0 ? 30 * rest - 2 : 0), 365 * years + Math.ceil(years / 4) + 31 * rest];
}

function atLeast(a, b) {
  if (a.count && b.count && a.unit !== 1 && b.unit !== 1) return months(a) >= months(b);
  return bounds(a)[0] >= bounds(b)[1];
}

function longer(a, b) {
  if (atLeast(a, b)) return a;
  if (atLeast(b, a)) return { count: b.count, unit: b.unit };
  return { count: Math.max(bounds(a)[1], bounds(b)[1]), unit: 1 };
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const prefix = (rule) => rule.kind === 11 || rule.kind === 12;

function noEarlier(l, s) {
  if (s.kind === 1 || l.kind === 2 || l.kind === 3 || same(l, s)) return true;
  if (prefix(l)) return noEarlier(l.rules[0], s);
  if (prefix(s)) return noEarlier(l, s.rules[0]);
  if (s.kind === 6) return s.rules.every((part) => noEarlier(l, part));
  if (l.kind === 7) return l.rules.every((part) => noEarlier(part, s));
  if (l.kind === 10) return needTerms(l).every((part) => noEarlier(part, s));
  if (l.kind === 6 && l.rules.some((part) => noEarlier(part, s))) return true;
  if (s.kind === 7) return s.rules.some((part) => noEarlier(l, part));
  if (s.kind === 10) return needTerms(s).some((part) => noEarlier(l, part));
  if (![4, 5].includes(l.kind) || ![4, 5].includes(s.kind) || l.event !== s.event) return false;
  if (s.kind === 5 && !(l.kind === 5 && l.year === s.year)) return false;
  return atLeast({ count: 0, ...l }, { count: 0, ...s });
}

function dutiesOf(rule, found = { review: false, notice: { count: 0 }, references: [] }) {
  if (rule.kind === 11) found.review = true;
  if (rule.kind === 12) found.notice = longer(found.notice, rule);
  if (rule.kind === 8 || rule.kind === 9) found.references.push(rule);
  for (const part of rule.rules ?? []) dutiesOf(part, found);
  return found;
}

function notShorter(l, s) {
  if (noEarlier(l, { kind: 2 })) return true;
  if (!noEarlier(l, s)) return false;
  const [mine, theirs] = [dutiesOf(l), dutiesOf(s)];
  return (mine.review || !theirs.review) && atLeast(mine.notice, theirs.notice) &&
    theirs.references.every((r) => mine.references.some((own) => same(own, r)));
}

// ---- vectors ----

const failures = [];
let checked = 0;
function expect(what, got, want) {
  checked++;
  if (JSON.stringify(got) !== JSON.stringify(want)) failures.push(`${what}: ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
}

// ordered gives the fields of a tree in the order of the vectors.
const ordered = (rule) => ({
  kind: rule.kind, count: rule.count, unit: rule.unit, event: rule.event, year: rule.year, series: rule.series, rules: rule.rules?.map(ordered),
});

function compareAll(path) {
  const vectors = JSON.parse(readFileSync(path, "utf8"));
  for (const v of vectors.sums) expect(`${v.day} and ${v.count} of unit ${v.unit}`, dayText(add(parseDay(v.day), v.count, v.unit)), v.sum);
  for (const v of vectors.yearEnds) expect(`end of year ${v.year} from ${v.start} of ${v.day}`, dayText(endOfYear(parseDay(v.day), v.year, v.start)), v.end);
  for (const v of vectors.rules) expect(v.text, ordered(parse(v.text)), v.tree);
  for (const text of vectors.refused) {
    let accepted = true;
    try {
      parse(text);
    } catch {
      accepted = false;
    }
    expect(`accepted: ${JSON.stringify(text)}`, accepted, false);
  }
  const schedule = new Map(vectors.schedule.map((s) => [s.series, parse(s.rule)]));
  vectors.verdicts.forEach((v, i) => {
    const duties = { review: false, notice: { count: 0 } };
    const end = judge(parse(v.rule), vectors.records[v.record], schedule, duties);
    const status = [end.day <= Math.min(parseDay(v.today), MAX_DAY) ? "due" : "not yet", "waiting", "never"][end.rank];
    const { count, unit } = duties.notice;
    expect(`verdict ${i}, ${v.rule} on ${v.today}`,
      [status, end.rank === 0 ? end.day : null, end.missing, duties.review, count ? `${count} ${UNITS[unit - 1]}${count === 1 ? "" : "s"}` : ""],
      [v.status, v.due, v.missing, v.review, v.notice]);
  });
  for (const v of vectors.shorter) expect(`${v.local} against ${v.state}`, notShorter(parse(v.local), parse(v.state)), v.notShorter);
  for (const f of failures) console.error(f);
  console.log(`${checked} vectors, ${failures.length} wrong`);
  process.exit(failures.length > 0 || checked === 0 ? 1 : 0);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) compareAll(process.argv[2]);
