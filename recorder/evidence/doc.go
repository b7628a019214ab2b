// Package evidence signs what is recorded, and keeps an append-only log of it, so that years later anybody who has the public
// key can tell whether a recording is as it was, and whether one is missing.
//
// A [Key] is an Ed25519 key pair in the files that openssl reads. A [Log] is a Merkle tree of leaves, one JSON object each, whose
// newest root is signed: the checkpoint. Who keeps a copy of a checkpoint elsewhere can prove that nothing up to it was taken out, put
// in, or changed. [Check] proves it, offline, and names what is wrong.
//
// It does not know what a recording is: the recorder tells it which files belong to which leaf.
//
// # Ownership
//
// A Log's Append is safe for concurrent use, also by several processes: the file lock is held while one appends. Appends that
// come together share one sync.
//
// # On disk
//
//	DIR/evidence/key.pem            private key, PKCS #8, mode 0600 (may lie elsewhere)
//	DIR/evidence/key.pub            public key, SubjectPublicKeyInfo
//	DIR/evidence/log/leaves.jsonl   leaf n is line n
//	DIR/evidence/log/hashes         the tree's hashes, 32 octets each, in the order of tlog.StoredHashIndex
//	DIR/evidence/log/checkpoint     origin, size, root, signature (C2SP signed note, tlog checkpoint)
//
// A leaf is promised once it is in a checkpoint. The checkpoint that will name it is written before the leaf, under another name, and takes its own
// after: a line that somebody else put at the end is in none, and is never signed.
//
// # Standards
//
// RFC 6962 section 2.1 (tree hashes), RFC 8032 (Ed25519), RFC 8410 (key files), C2SP tlog-checkpoint and signed-note.
package evidence
