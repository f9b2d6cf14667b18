package main

// Tables of docs/faults.md beside the one of AWS's calls: measured, and compared with
// what the document says.

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

const faultsDocument = "../../docs/faults.md"

// matrix is a table: how a run ended, by its row and the name of the disturbance.
type matrix struct {
	name    string // between whose marks it stands
	columns []string
	total   int // cells
	cells   map[string]map[string]string
}

func newMatrix(name string, columns ...string) *matrix {
	m := &matrix{name: name, columns: columns, cells: map[string]map[string]string{}}
	if len(columns) > 0 {
		return m
	}
	for _, d := range disturbances {
		if d.name != "clock skew" {
			m.columns = append(m.columns, d.name)
		}
	}
	return m
}

// put notes how a cell was played.
func (m *matrix) put(row, column, how string) {
	if m.cells[row] == nil {
		m.cells[row] = map[string]string{}
	}
	m.cells[row][column] = how
}

func (m *matrix) text() string {
	var b strings.Builder
	b.WriteString("| run | call | " + strings.Join(m.columns, " | ") + " |\n|---|---|" + strings.Repeat("---|", len(m.columns)) + "\n")
	for _, row := range slices.Sorted(maps.Keys(m.cells)) {
		b.WriteString("| " + row + " |")
		for _, column := range m.columns {
			b.WriteString(" " + m.cells[row][column] + " |")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// compare holds the cells that were played against the document; with -faults and
// -update it writes the table.
func (m *matrix) compare(t *testing.T) {
	t.Helper()
	played := 0
	for _, row := range m.cells {
		played += len(row)
	}
	t.Logf("%d cells, %d played", m.total, played)
	written, err := os.ReadFile(faultsDocument)
	if err != nil {
		t.Fatal(err)
	}
	from, to := "<!-- "+m.name+": begin -->\n", "<!-- "+m.name+": end -->"
	before, rest, found := strings.Cut(string(written), from)
	table, after, closed := strings.Cut(rest, to)
	if !found || !closed {
		t.Fatalf("%s has no marks of %s", faultsDocument, m.name)
	}
	switch {
	case *allFaults && *update:
		if err := os.WriteFile(faultsDocument, []byte(before+from+m.text()+to+after), 0o644); err != nil {
			t.Fatal(err)
		}
	case *allFaults && table != m.text():
		t.Errorf("the table of %s is another one than what is measured:\n%s", m.name, difference(table, m.text()))
	case !*update:
		for row, cells := range m.cells {
			for column, how := range cells {
				if want := m.written(table, row, column); want != how {
					t.Errorf("%s: %s: %q, and %s says %q", row, column, how, faultsDocument, want)
				}
			}
		}
	}
}

// written is what a table says of a cell.
func (m *matrix) written(table, row, column string) string {
	for line := range strings.Lines(table) {
		if rest, is := strings.CutPrefix(line, "| "+row+" |"); is {
			columns := strings.Split(rest, "|")
			if i := slices.Index(m.columns, column); i >= 0 && i < len(columns) {
				return strings.TrimSpace(columns[i])
			}
		}
	}
	return ""
}
