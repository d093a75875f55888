package packetdrill

import "strings"

// preprocess resolves the blocks that scripts for several systems have,
//
//	#ifdef NAME … #else … #endif        #ifndef NAME …        #define NAME value
//
// by the names in defines, to which it adds. Lines keep their numbers. Every other line that begins with # is a comment,
// and left to the scanner.
func preprocess(src string, defines map[string]string) (string, error) {
	if !strings.Contains(src, "#ifdef") && !strings.Contains(src, "#ifndef") && !strings.Contains(src, "#define") {
		return src, nil
	}
	lines := strings.SplitAfter(src, "\n")
	var blocks []bool // of each open block, whether its lines count
	counts := func() bool { return len(blocks) == 0 || blocks[len(blocks)-1] }
	outer := func() bool { return len(blocks) < 2 || blocks[len(blocks)-2] }
	for i, line := range lines {
		words := strings.Fields(line)
		directive, name := "", ""
		if len(words) > 0 {
			directive = words[0]
		}
		if len(words) > 1 {
			name = words[1]
		}
		_, defined := defines[name]
		switch {
		case directive == "#ifdef" && len(words) == 2:
			blocks = append(blocks, counts() && defined)
		case directive == "#ifndef" && len(words) == 2:
			blocks = append(blocks, counts() && !defined)
		case directive == "#else" && len(blocks) > 0:
			blocks[len(blocks)-1] = outer() && !blocks[len(blocks)-1]
		case directive == "#endif" && len(blocks) > 0:
			blocks = blocks[:len(blocks)-1]
		case directive == "#define" && len(words) == 3 && counts():
			defines[name] = words[2]
		case counts():
			continue
		}
		lines[i] = "\n"
	}
	if len(blocks) > 0 {
		return "", failf(ParseError, len(lines), "#ifdef without #endif")
	}
	return strings.Join(lines, ""), nil
}
