#!/usr/bin/env python3
"""Turns the file of `verso bench engine --json FILE` into the table of docs/performance.md.

    bench/table.py FILE…                     prints the table
    bench/table.py FILE… docs/performance.md  puts it between the two marks in that file

    bench/table.py --again FILE… docs/performance.md  replaces only the lines of those runs in it

Of several files, lines of a later one replace the same lines of the first, and say so.

Figures get into the documentation by this way only, so that each comes from a run that is on file.
"""
import json
import sys

import marked

BEGIN = "<!-- figures: begin (bench/table.py) -->"
END = "<!-- figures: end -->"


def amount(value, unit):
    if unit == "ns":
        for limit, name in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
            if value >= limit:
                value, unit = value / limit, name
                break
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f} {unit}"


def side(line, who):
    samples = line[who]["samples"]
    return amount(line[who]["median"], line["unit"]) if samples else "–"


def target(line):
    bound, basis = line["target"]["bound"], line["target"]["basis"]
    if bound == "none":
        return "–"
    unit = {"speedup": "×", "absolute": " " + line["unit"]}.get(basis, "")
    return ("≤ " if bound == "at_most" else "≥ ") + f"{line['target']['value']:g}{unit}"


def figure(line):
    value, basis = line["figure"], line["target"]["basis"]
    if basis == "absolute":
        return amount(value, line["unit"])
    text = f"{value:.0f}" if value >= 100 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"
    return text + ("×" if basis == "speedup" else "")


def tail(line):
    parts = []
    for who, name in (("ours_tail", "ours"), ("rival_tail", "rival")):
        if who in line:
            t = line[who]
            parts.append(f"{name} p99 {amount(t['p99_ns'], 'ns')}, max {amount(t['max_ns'], 'ns')}")
    if line.get("restores"):
        parts.append(
            f"first read {amount(line['first_read_ns']['median'], 'ns')}, "
            f"last page {amount(line['last_page_ns']['median'], 'ns')}"
        )
    return "; ".join(parts)


def row(line):
    verdict = line["verdict"]
    if verdict in ("missed", "incomplete", "failed"):
        verdict = f"**{verdict}**"
    notes = line.get("why_not") or tail(line)
    if line.get("rerun"):
        notes = "; ".join(filter(None, [notes, "measured again, alone"]))
    return (
        f"| `{line['row']}` {line['variant']}, against {line['rival_is']} | {line['size_mib']} "
        f"| {side(line, 'ours')} | {side(line, 'rival')} | {figure(line)} | {target(line)} "
        f"| {verdict} | {notes} |"
    )


def again(old, files):
    """The table that is there, with the lines of later runs in place of the same ones. A line that
    is new comes after the last one of its row and size."""

    def key(text):
        return tuple(text.split("|")[1:3])

    lines = old.split("\n")
    for file in files:
        for line in file["lines"]:
            fresh = row(line | {"rerun": True})
            same = [at for at, text in enumerate(lines) if key(text) == key(fresh)]
            if same:
                lines[same[0]] = fresh
                continue
            begin, size = f"| `{line['row']}` ", key(fresh)[1]
            kin = [at for at, text in enumerate(lines) if text.startswith(begin) and key(text)[1] == size]
            lines.insert(kin[-1] + 1 if kin else len(lines), fresh)
    return "\n".join(lines)


def table(root):
    machine = root["machine"]
    text = [
        f"{machine['processor']}, {machine['cpus']} CPUs, {machine['memory_mib']} MiB, "
        f"Linux {machine['kernel']}; {root['options']['repeats']} repeats; "
        f"load before {machine['load_before'].split()[0]}.",
        "",
        "| row | MiB | ours | rival | figure | target | verdict | tails, times |",
        "|---|---|---|---|---|---|---|---|",
    ]
    text += [row(line) for line in root["lines"]]
    return "\n".join(text)


def joined(files):
    """The first run, with what later runs measured again."""

    def key(line):
        return line["row"], line["variant"], line["size_mib"], line["rival_is"]

    root, *later = files
    for other in later:
        again = {key(line): line | {"rerun": True} for line in other["lines"]}
        root["lines"] = [again.get(key(line), line) for line in root["lines"]]
    return root


def main(arguments):
    anew = "--again" in arguments
    arguments = [each for each in arguments if each != "--again"]
    paths = [path for path in arguments if not path.endswith(".md")]
    documents = [path for path in arguments if path.endswith(".md")]
    if not paths or len(documents) > 1 or (anew and not documents):
        print(__doc__, file=sys.stderr)
        return 2
    files = []
    try:
        for path in paths:
            with open(path, encoding="utf-8") as file:
                files.append(json.load(file))
        made = "" if anew else table(joined(files))
    except (OSError, ValueError, KeyError) as error:
        print(f"table.py: {path} is not a bench file: {error}", file=sys.stderr)
        return 2
    if not documents:
        print(made)
        return 0
    try:
        head, part, tail = marked.split(documents[0], BEGIN, END)
    except ValueError as error:
        print(f"table.py: {error}", file=sys.stderr)
        return 2
    if anew:
        made = again(part, files)
    marked.write(documents[0], head, BEGIN, made, END, tail)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
