// Package catalog keeps a list of recordings in DIR/catalog.db (SQLite), so that they are found among 100,000 without each manifest being read.
//
// It is never the truth: the folders and their manifests are, see package recorder. A catalog that is missing, damaged or old is made anew from them, and what it says of a
// recording is looked at again by who acts on it (recorder.Store.Prune). It writes nothing into recordings' folders.
//
// [DB] is the daemon's: [DB.Changed] takes a folder into a bounded queue, one goroutine writes. What finds no room in the queue, and what was done without
// earshot, is found by the next look: each day's folder has a time of change, and where that is another than in the catalog the day's names are compared.
// [Open] gives a [Reader], which looks at the catalog that there is and changes nothing: where a day has changed since, it takes that day from the folder itself. So an answer
// is right whatever the catalog's age; the age costs time only.
//
// # Usage
//
//	db, err := catalog.New(catalog.Config{Dir: dir})
//	store, err := recorder.New(recorder.Config{Dir: dir, Changed: db.Changed})
//	go db.Run(ctx)
//	r, err := catalog.Open(dir)
//	page, err := r.Search(ctx, recorder.Query{Agent: "108", Most: 100})
//
// # Concurrency
//
// New opens nothing and starts nothing. Run owns the file and writes; it starts no goroutine that outlives it. Changed may be called from any goroutine and never blocks. A
// Reader is for one goroutine.
//
// # Limits
//
// The queue takes 4,096 folders. A rebuild works day by day: one day's recordings are in memory at a time. Live recordings are not in the file; a Reader takes them
// from their folders.
//
// # Standards
//
// The table's form has a version (PRAGMA user_version); a catalog of another version is made anew.
//
// # Testing
//
// A catalog's answers are compared with those from the folders, for questions at random, while recordings come and go; the file is damaged, removed and cut.
package catalog
