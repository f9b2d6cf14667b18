package main

import (
	"path/filepath"
	"regexp"
	"testing"
	"testing/synctest"

	"golang.org/x/tools/txtar"
)

// TestVerifyChangesNothing: whatever it finds, the command calls only what reads.
func TestVerifyChangesNothing(t *testing.T) {
	clearAWS(t)
	files, err := filepath.Glob("testdata/verify*.txtar")
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	reads := regexp.MustCompile(`^\w+:(Describe|List|Get|BatchGet|BatchCheck|Simulate)`)
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			for _, action := range actions(t, archive) {
				if !reads.MatchString(action) {
					t.Errorf("%s calls %s", file, action)
				}
			}
		})
	}
}
