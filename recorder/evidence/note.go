package evidence

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// ErrNoLog says that a folder of recordings has no evidence log.
var ErrNoLog = errors.New("no evidence log")

// Note adds one leaf to the log of a directory of recordings that may have no daemon at work; keyFile as for Open. Nothing is begun: a log that is
// missing (ErrNoLog), damaged (ErrDamaged) or another key's stays as it is.
func Note(dir, keyFile string, leaf Leaf) error {
	home := filepath.Join(dir, DirName)
	if keyFile == "" {
		keyFile = filepath.Join(home, KeyName)
	}
	if _, err := os.Lstat(filepath.Join(home, LogName, checkpointName)); err != nil {
		return fmt.Errorf("evidence: %w: %w", ErrNoLog, err)
	}
	key, err := LoadKey(keyFile)
	if err != nil {
		return fmt.Errorf("evidence: %w", err)
	}
	if leaf.Time.IsZero() {
		leaf.Time = time.Now()
	}
	line, err := leaf.encode()
	if err != nil {
		return err
	}
	log, err := OpenLog(filepath.Join(home, LogName), key)
	if err != nil {
		return err
	}
	_, err = log.Append(line)
	return errors.Join(err, log.Close())
}
