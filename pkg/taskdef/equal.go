package taskdef

// Canonical comparison: ECS answers with defaults that nobody gave (cpu 0, empty
// lists, host ports) and other tools write the same thing in other ways.
// canonical removes such differences and no others.

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Equal reports whether ECS would make the same revision of both. Read-only
// members, tags of AWS itself (aws:…) and those that say where a revision came
// from ([Provenance]), the order of members and of sets (containers,
// environment, secrets, tags, …), the spelling of strings and numbers, and
// defaults that ECS fills in do not count. Empty values that mean something do:
// an environment variable or a log option with the value "".
func Equal(a, b Definition) bool {
	return bytes.Equal(a.canonical().encode(), b.canonical().encode())
}

func (d Definition) canonical() value {
	return canonical(impliedHostPorts(d.WithoutProvenance().registered()), taskDefinition)
}

// canonical is the one way to write what v means: members sorted, sets sorted,
// nulls and what says the same as nothing left out, scalars in one spelling.
func canonical(v value, r *rule) value {
	switch v.kind {
	case number:
		v.raw = canonicalNumber(v.raw)
	case text:
		s := unquote(v.raw)
		if r.unit != "" {
			s = canonicalSize(s, r.unit)
		}
		v.raw = quote(s)
	case list:
		items := make([]value, len(v.items))
		for i, item := range v.items {
			items[i] = canonical(item, r.item())
		}
		if r.key != "" {
			slices.SortStableFunc(items, func(a, b value) int { return cmp.Compare(keyOf(a, r), keyOf(b, r)) })
		}
		v.items = items
	case object:
		var kept []member
		for _, m := range v.members {
			if m.value.kind == null { // AWS JSON: a null member is no member
				continue
			}
			sub := r.of(m.name)
			m.raw, m.value = quote(m.name), canonical(m.value, sub)
			if sub.absent == "" || string(m.value.encode()) != sub.absent {
				kept = append(kept, m)
			}
		}
		slices.SortFunc(kept, func(a, b member) int { return cmp.Compare(a.name, b.name) })
		v.members = kept
	}
	return v
}

// keyOf is what tells an item of a set apart.
func keyOf(item value, r *rule) string {
	if r.key == "." {
		return string(item.encode())
	}
	return item.get(r.key).str()
}

// impliedHostPorts fills in host ports that can only be what they are: under
// awsvpc and host a host port is the container port (PortMapping, hostPort).
func impliedHostPorts(doc value) value {
	if mode := doc.get("networkMode").str(); mode != "awsvpc" && mode != "host" {
		return doc
	}
	return doc.edit("containerDefinitions", func(c value) value {
		return c.edit("portMappings", func(p value) value {
			port, host := p.get("containerPort"), p.get("hostPort")
			given := host.kind != missing && host.kind != null && (host.kind != number || canonicalNumber(host.raw) != "0")
			if given || port.kind == missing {
				return p
			}
			return p.with("hostPort", port)
		})
	})
}

// canonicalNumber spells a JSON number by its value: digits without leading or
// trailing zeros and an exponent, written out where it is short. No float is
// involved, for 12345678901234567890 must not lose a digit.
func canonicalNumber(raw string) string {
	digits, exponent := strings.ToLower(raw), 0
	if mantissa, e, ok := strings.Cut(digits, "e"); ok {
		n, err := strconv.ParseInt(e, 10, 32)
		if err != nil {
			return raw // an absurd exponent: as spelled
		}
		digits, exponent = mantissa, int(n)
	}
	digits, negative := strings.CutPrefix(digits, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	digits = strings.TrimLeft(whole+fraction, "0")
	exponent -= len(fraction)
	short := strings.TrimRight(digits, "0")
	exponent += len(digits) - len(short)
	switch {
	case short == "":
		return "0"
	case exponent > 0 && exponent <= 20:
		short += strings.Repeat("0", exponent)
	case exponent != 0:
		short += "e" + strconv.Itoa(exponent)
	}
	if negative {
		return "-" + short
	}
	return short
}

// canonicalSize turns "0.5 vCPU" or "2GB" into "512" and "2048", and leaves
// alone what is anything else.
func canonicalSize(s, unit string) string {
	n := len(s) - len(unit)
	if n <= 0 || !strings.EqualFold(s[n:], unit) {
		return s
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(s[:n]), 64)
	if err != nil || f*1024 != float64(int32(f*1024)) {
		return s
	}
	return strconv.Itoa(int(f * 1024))
}

// amount is the number that a size means: as written, or 1024 for each unit.
func amount(s, unit string) float64 {
	times := 1.0
	if n := len(s) - len(unit); n > 0 && strings.EqualFold(s[n:], unit) {
		s, times = strings.TrimSpace(s[:n]), 1024
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0
	}
	return f * times
}
