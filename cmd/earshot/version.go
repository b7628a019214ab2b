package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

type versionCmd struct{}

// Run prints version, revision and toolchain, from build info alone.
func (versionCmd) Run(p *process) error {
	v, rev := buildVersion()
	_, err := fmt.Fprintf(p.out, "earshot %s (%s, %s %s/%s)\n", v, rev, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// buildVersion gives the module's version and the revision it was built from.
func buildVersion() (version, revision string) {
	version, revision = "devel", "unknown revision"
	bi, ok := debug.ReadBuildInfo()
	if !ok {
		return version, revision
	}
	if v := bi.Main.Version; v != "" && v != "(devel)" {
		version = v
	}
	for _, s := range bi.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			revision = s.Value[:12]
		}
	}
	return version, revision
}
