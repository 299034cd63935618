package commitment

// Field is one descriptive fact about a record: a metadata leaf.
// Key is 1 to 64 characters of [a-z0-9-]; Value is UTF-8 of at most 4,096 bytes.
type Field struct{ Key, Value string }
