// Package evidence signs what is recorded, and keeps an append-only log of it, so that years later anybody who has the public
// key can tell whether a recording is as it was, and whether one is missing.
//
// A [Key] is an Ed25519 key pair in the files that openssl reads. A [Log] is a Merkle tree of leaves, one JSON object each, whose
// newest root is signed: the checkpoint. Who keeps a copy of a checkpoint elsewhere can prove that nothing up to it was taken out, put
// in, or changed. [Check] proves it, offline, and names what is wrong.
//
// It does not know what a recording is: the recorder tells it which files belong to which leaf.
//
// # Usage
//
//	book, err := evidence.Open("/var/lib/earshot", "", nil)
//	err = book.Write(evidence.Leaf{Type: evidence.LeafRecording, Folder: "2026/11/23/x", Manifest: sum})
//	defer book.Close()
//
// # Concurrency
//
// Nothing is started. A Book's and a Log's methods are safe for concurrent use, and wait for the disk; several processes may append to one log: a file lock is held while one does. Appends that
// come together share one sync.
//
// # Limits
//
// A leaf has 16 KiB at most, 4,096 may wait for the disk. OpenLog reads all leaves once, some 300 octets each; CheckLog reads everything in one pass and
// memory that does not grow with the log. A private key that is stolen signs what its thief wants: only checkpoints that were kept elsewhere hold against that.
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
//
// # Testing
//
// Tests cut every file at every place where a crash may have left it, change logs at random, and have openssl check what we sign.
package evidence
