package recorder

import (
	"path"
	"strings"

	"github.com/earshot/earshot/recorder/evidence"
)

// transcript checks what was heard in a recording against the leaf that the log has of it, and strikes it off what is there. Between leaf and folder it lies among the pending ones.
func (v *verifier) transcript(folder string, said File, there map[string]bool) error {
	if said.File == "" && (there[TranscriptName] || there[TranscriptName+EncryptedSuffix]) {
		again, err := v.again() // it came, maybe, after the log was read
		if err != nil {
			return err
		}
		said = again.log[folder].transcript
	}
	if said.File == "" {
		return nil // what lies there is named by nobody
	}
	name := path.Join(folder, said.File)
	if !there[said.File] {
		name = pendingName(folder, strings.HasSuffix(said.File, EncryptedSuffix))
		if _, err := v.c.root.Lstat(name); err != nil {
			if _, err := v.c.root.Lstat(path.Join(folder, said.File)); err != nil {
				v.find(evidence.Removed, path.Join(folder, said.File), "the log names this transcript, and it is not there")
				return nil
			}
			name = path.Join(folder, said.File) // it came while we looked
		}
	}
	delete(there, said.File)
	f, err := v.open(name)
	if err != nil {
		v.unreadable(name, err)
		return nil
	}
	defer f.Close()
	var d digester
	sum, err := d.read(f)
	switch {
	case err != nil:
		v.unreadable(name, err)
	case sum != said.SHA256:
		v.find(evidence.Changed, name, "its octets are not those that the log names")
	}
	return nil
}
