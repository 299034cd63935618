// A second implementation of the text of docs/spec/redaction.md on Node's crypto, written from the page.
// Usage: node redaction.mjs VECTORS.json   Exit code 0: every vector holds; 1: one does not.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const CODE = /^[A-Za-z0-9.-]{1,32}$/;
const NUMBER = /^(0|[1-9][0-9]{0,7})$/;
const MOST_MARKS = 65536;
const LEAVES = 2 ** 24;

// parse reads the text of a redaction, and throws unless it has the one spelling.
export function parse(text) {
  const want = (holds, what) => {
    if (!holds) throw new Error(what);
  };
  const lines = text.split("\n");
  want(lines.pop() === "", "the last line has no end");
  want(lines.length >= 4 && lines.length <= 3 + MOST_MARKS, `${lines.length} lines`);
  want(lines[0] === "muniment redaction v1", "title");
  want(lines[1].startsWith("salt "), "salt");
  const salt = Buffer.from(lines[1].slice(5), "base64");
  want(salt.length === 32 && salt.toString("base64") === lines[1].slice(5), "salt");
  const [word, authority, dated, ...more] = lines[2].split(" ");
  want(word === "authority" && more.length === 0 && CODE.test(authority) && authority !== "-", "authority");
  want(/^[0-9]{4}-[0-9]{2}-[0-9]{2}$/.test(dated), "date");
  const marks = [];
  for (const line of lines.slice(3)) {
    const [mark, leaves, code, ...rest] = line.split(" ");
    want(mark === "mark" && rest.length === 0 && CODE.test(code ?? ""), "mark");
    const ends = leaves.split("-");
    want(ends.length === 2 && ends.every((n) => NUMBER.test(n)), "leaves");
    const [first, last] = ends.map(Number);
    want(first <= last && last < LEAVES, "leaves");
    const before = marks.at(-1);
    want(!before || first > before.last + 1 || (first === before.last + 1 && code !== before.code), "marks that touch or go back");
    marks.push({ first, last, code });
  }
  return { salt, authority, dated, marks };
}

// hash is what the ledger has of a redaction.
export const hash = (text) => createHash("sha256").update("muniment/v1/redaction\n").update(text).digest("hex");

function compareAll(path) {
  const vectors = JSON.parse(readFileSync(path, "utf8"));
  const failures = [];
  let checked = 0;
  for (const v of vectors.redactions) {
    checked++;
    try {
      const r = parse(v.text);
      const got = [hash(v.text), r.salt.toString("hex"), r.authority, r.dated, r.marks];
      const want = [v.hash, v.salt, v.authority, v.dated, v.marks];
      if (JSON.stringify(got) !== JSON.stringify(want)) failures.push(`${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
    } catch (e) {
      failures.push(`refused: ${JSON.stringify(v.text)}: ${e.message}`);
    }
  }
  for (const text of vectors.refused) {
    checked++;
    let accepted = true;
    try {
      parse(text);
    } catch {
      accepted = false;
    }
    if (accepted) failures.push(`accepted: ${JSON.stringify(text)}`);
  }
  for (const f of failures) console.error(f);
  console.log(`${checked} vectors, ${failures.length} wrong`);
  process.exit(failures.length > 0 || checked === 0 ? 1 : 0);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) compareAll(process.argv[2]);
