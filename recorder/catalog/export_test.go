package catalog

import "context"

// Rows counts the recordings that the file itself names.
func Rows(ctx context.Context, dir string) (n int, err error) {
	db, err := open(dir, "ro")
	if err != nil {
		return 0, err
	}
	defer db.Close()
	return n, db.QueryRowContext(ctx, `SELECT count(*) FROM recording`).Scan(&n)
}
