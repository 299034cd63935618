// A second implementation of docs/spec/statetree.md on Node's crypto, written from the page.
// Usage: node statetree.mjs VECTORS.json   Exit code 0: every vector holds; 1: one does not.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const sha256 = (...parts) => parts.reduce((h, p) => h.update(p), createHash("sha256")).digest();
const EMPTY = Buffer.alloc(32);
const leafHash = (key, valueHash) => sha256(Buffer.of(0), key, valueHash);
const innerHash = (left, right) => sha256(Buffer.of(1), left, right);
const bitAt = (bytes, i) => (bytes[i >> 3] >> (7 - (i & 7))) & 1;

// root computes the root of a list of {key, value} by the definition of the shape.
function root(entries, depth = 0) {
  if (entries.length === 0) return EMPTY;
  if (entries.length === 1) return leafHash(entries[0].key, sha256(entries[0].value));
  const side = (bit) => root(entries.filter((e) => bitAt(e.key, depth) === bit), depth + 1);
  return innerHash(side(0), side(1));
}

function parse(raw) {
  let at = 0;
  const take = (n) => {
    if (at + n > raw.length) throw new Error("bytes are missing");
    return raw.subarray(at, (at += n));
  };
  const proof = { end: take(1)[0], siblings: [] };
  if (proof.end < 1 || proof.end > 3) throw new Error("unknown end");
  if (proof.end === 3) [proof.otherKey, proof.otherValueHash] = [take(32), take(32)];
  const depth = take(2).readUInt16BE();
  if (depth > 256 || (depth === 256 && proof.end === 2)) throw new Error("depth");
  const bitmap = take(Math.ceil(depth / 8));
  for (let i = depth; i < bitmap.length * 8; i++) if (bitAt(bitmap, i)) throw new Error("bits beyond the depth");
  if (depth > 0 && !bitAt(bitmap, depth - 1)) throw new Error("the end stands beside nothing");
  for (let i = 0; i < depth; i++) {
    const sibling = bitAt(bitmap, i) ? take(32) : EMPTY;
    if (bitAt(bitmap, i) && sibling.equals(EMPTY)) throw new Error("a given sibling is empty");
    proof.siblings.push(sibling);
  }
  if (at !== raw.length) throw new Error("trailing bytes");
  return proof;
}

// verify throws unless the proof shows value (a Buffer) or absence (null) of key under rootHash.
function verify(rootHash, key, value, raw) {
  const proof = parse(raw);
  if ((value !== null) !== (proof.end === 1)) throw new Error("presence and absence confused");
  let hash = EMPTY;
  if (proof.end === 1) hash = leafHash(key, sha256(value));
  if (proof.end === 3) {
    if (proof.otherKey.equals(key)) throw new Error("the other key is the key");
    for (let i = 0; i < proof.siblings.length; i++)
      if (bitAt(proof.otherKey, i) !== bitAt(key, i)) throw new Error("the other leaf is off the way");
    hash = leafHash(proof.otherKey, proof.otherValueHash);
  }
  for (let d = proof.siblings.length; d > 0; d--)
    hash = bitAt(key, d - 1) ? innerHash(proof.siblings[d - 1], hash) : innerHash(hash, proof.siblings[d - 1]);
  if (!hash.equals(rootHash)) throw new Error("it leads to another root");
}

const hex = (text) => Buffer.from(text, "hex");
const failures = [];
const vectors = JSON.parse(readFileSync(process.argv[2], "utf8"));
let checked = 0;
for (const tree of vectors.trees) {
  const got = root(tree.entries.map((e) => ({ key: hex(e.key), value: hex(e.value) }))).toString("hex");
  if (got !== tree.root) failures.push(`${tree.name}: root ${got}, want ${tree.root}`);
  checked++;
  for (const p of tree.proofs) {
    try {
      verify(hex(tree.root), hex(p.key), p.value === null ? null : hex(p.value), hex(p.proof));
    } catch (e) {
      failures.push(`${tree.name}: key ${p.key}: ${e.message}`);
    }
    checked++;
  }
}
for (const p of vectors.refused) {
  let accepted = true;
  try {
    verify(hex(p.root), hex(p.key), p.value === null ? null : hex(p.value), hex(p.proof));
  } catch {
    accepted = false;
  }
  if (accepted) failures.push(`accepted though ${p.why}`);
  checked++;
}
for (const f of failures) console.error(f);
console.log(`${checked} vectors, ${failures.length} wrong`);
process.exit(failures.length > 0 || checked === 0 ? 1 : 0);
