// Package vault brings sealed recordings to an S3 server, keeps them there under lock, and takes them out again when they must be gone.
//
// It doesn't record, seal, sign or encrypt, and never changes a recording on the disk. What a recording consists of is its manifest's word ([recorder.Manifest]): each file
// goes up with the hash that was sealed, the manifest last, so a recording is whole in the vault once its recording.json is there.
//
// [Vault.Sealed] takes a recording's name; it goes into a queue on the disk (package outbox), from there [Vault.Run] uploads it, makes sure of what the server has,
// and notes it in DIR/vault/done. [Vault.Erase] removes all versions. [Vault.Placed] makes sure that a recording is there, so that its audio
// may leave this disk, and [Vault.Open], or a [Reader] without a queue, reads it back. [Probe] tells whether all that needs works.
//
// # Usage
//
//	v, err := vault.New(vault.Config{Dir: dir, Endpoint: "https://s3.eu-central-1.amazonaws.com", Bucket: "calls", AccessKey: id, SecretKey: key})
//	store, err := recorder.New(recorder.Config{Dir: dir, Sealed: v.Sealed})
//	go v.Run(ctx) // until after the store's Run has ended
//
// # Concurrency
//
// New starts nothing. Run starts Config.Workers uploads at a time and one goroutine that fills the queue, and awaits them. Two processes may share a folder: both
// queue, and the one that has the queue's lock uploads. Sealed never waits; Erase and Probe ask the server.
//
// # Limits
//
// Memory does not depend on how much waits: some thousand names, and for each worker the hashes of one file's parts. A file is read, never loaded. Each connection, answer and
// upload has a deadline, by size for uploads: a server that crawls holds a worker, not the queue; one that is down is asked by one worker at a time, every five minutes at last.
// A file may have 10,000 parts (160 GB).
//
// # Standards
//
// Amazon S3's REST API as minio-go v7 speaks it: PutObject, CreateMultipartUpload and what belongs to it, x-amz-checksum-sha256, Object Lock, versions.
//
// # Testing
//
// Against versitygw, a real server with versions and locks, through a proxy that flips, cuts, crawls and hangs; without it the tests skip, or fail where CI=true.
package vault
