#!/usr/bin/env python3
"""Turns files of `verso bench vm --json FILE` into the tables of docs/vm.md.

    bench/vm_table.py FILE…              prints them
    bench/vm_table.py FILE… docs/vm.md   puts them between the two marks in that file

Several files: parts (--only) of what one run would have measured; FILE:ROW,ROW takes only these of its rows
(arming, pause, growth, slowdown, children, memory), and the text says so. Figures get into the documentation by this way
only, so that each comes from a run that is on file.
"""
import json
import sys

import marked

from table import amount

BEGIN = "<!-- figures: begin (bench/vm_table.py) -->"
END = "<!-- figures: end -->"
STOPPED = "stop, migrate to a file, cont (all memory)"
LIVE = "migrate to a file while it runs, cont"
PRIVATE = "background-snapshot, QEMU's private memory"
SHARED = "background-snapshot, shared memfd"


class Lines:
    def __init__(self, files):
        self.all = [line for file in files for line in file["lines"]]

    def sizes(self, row):
        return sorted({line["size_mib"] for line in self.all if line["row"] == row})

    def get(self, row, variant, size, rival=None):
        for line in self.all:
            if (line["row"], line["variant"], line["size_mib"]) == (row, variant, size):
                if rival in (None, line["rival_is"]):
                    return line
        return None

    def variants(self, row, size):
        found = []
        for line in self.all:
            if line["row"] == row and line["size_mib"] == size and line["variant"] not in found:
                found.append(line["variant"])
        return found


def cell(series, unit):
    """Median, and the longest where there is more than one."""
    if not series["samples"]:
        return "–"
    text = amount(series["median"], unit)
    if len(series["samples"]) > 1:
        text += f" (max {amount(series['max'], unit)}, n={len(series['samples'])})"
    return text


def rival_cell(line):
    return line["why_not"] if line.get("why_not") else cell(line["rival"], line["unit"])


def grid(head, rows):
    text = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return text + ["| " + " | ".join(row) + " |" for row in rows] + [""] if rows else []


def pauses(lines):
    rows = []
    for size in lines.sizes("pause"):
        first = lines.get("pause", "first fork", size)
        if first is None:
            continue
        rivals = [lines.get("pause", "first fork", size, name) for name in (STOPPED, LIVE, PRIVATE, SHARED)]
        arming = lines.get("arming", "first fork: the engine's part", size)
        later = lines.get("pause", "later forks", size)
        rows.append(
            [f"{size} MiB", cell(first["ours"], "ns"), cell(later["ours"], "ns"), cell(arming["rival"], "ns")]
            + [rival_cell(line) for line in rivals]
        )
    head = ["stood still for", "first fork", "later forks", "raw protection pass", "stop, migrate, cont",
            "migrate while it runs", "background-snapshot, private memory", "…, shared memfd"]
    return grid(head, rows)


def growth(lines):
    rows = []
    for size in lines.sizes("growth"):
        for variant in lines.variants("growth", size):
            line = lines.get("growth", variant, size)
            more = line["more"]
            rows.append([f"{size} MiB, {variant}", amount(line["ours"]["median"], "ns"),
                         f"{more['grew by']['median'] / 1e6:.1f} ms",
                         f"{more['the raw pass grew by']['median'] / 1e6:.1f} ms",
                         f"{line['figure']:.2f}", line["verdict"]])
    head = ["pause against the smallest guest's", "pause", "grew by", "the raw pass grew by",
            "pause / (smallest's + raw pass), ≤ 1", ""]
    return grid(head, rows)


def slowdown(lines):
    def share(series, more, who):
        if not series["samples"]:
            return "–"
        before, after = more[f"{who}: rounds a second before"], more[f"{who}: rounds a second after"]
        gap, worst = more[f"{who}: longest gap before"], more[f"{who}: longest gap after"]
        return (f"{series['median']:.2f} ({before['median']:.0f} → {after['median']:.0f}/s; "
                f"{amount(gap['max'], 'ns')} → {amount(worst['max'], 'ns')})")

    rows = []
    for size in lines.sizes("slowdown"):
        runs = lines.get("slowdown", "first fork, its child runs", size, PRIVATE)
        stopped = lines.get("slowdown", "later fork, its child stopped", size, PRIVATE)
        other = lines.get("slowdown", "first fork, its child runs", size, STOPPED)
        rows.append([f"{size} MiB", share(runs["ours"], runs["more"], "ours"),
                     share(stopped["ours"], stopped["more"], "ours"), share(runs["rival"], runs["more"], "rival"),
                     share(other["rival"], other["more"], "rival")])
    head = ["the guest's work, after / before (rounds; longest gap of all repeats)", "fork, the child runs as well",
            "fork, the child stopped at once", "background-snapshot, private memory", "stop, migrate, cont"]
    return grid(head, rows)


def children(lines):
    rows = []
    for size in lines.sizes("memory"):
        for variant in lines.variants("memory", size):
            count = variant.split()[0]
            memory = lines.get("memory", variant, size)
            boot = lines.get("children", f"until {count} answer", size, "booting as many")
            copy = lines.get("children", f"until {count} answer", size, "as many copies of a memory file")
            more = memory["more"]

            def mib(name):
                return f"{more[name]['median']:.0f}" if name in more else "–"

            rows.append([f"{size} MiB, {count}", cell(boot["ours"], "ns"), rival_cell(boot), rival_cell(copy),
                         f"{memory['ours']['median']:.0f}", f"{memory['rival']['median']:.0f}",
                         f"{memory['figure']:.3f}", mib("their QEMUs, Pss"), mib("booted guests' QEMUs, Pss"),
                         mib("copies' memory files")])
    head = ["guest, children", "until all answer", "booting as many", "as many copies of a memory file",
            "memory of the children, MiB", "as often the guest", "ratio", "their QEMUs, Pss",
            "booted: QEMUs, Pss", "copies: files"]
    return grid(head, rows)


def text_of(files):
    machine = files[0]["machine"]
    said = []
    for file in files:
        options = file["options"]
        command = f"--only {options.get('only')} " if options.get("only") else ""
        of = f" ({', '.join(file['rows'])})" if "rows" in file else ""
        said.append(f"`verso bench vm {command}--repeats {options['repeats']} --seconds {options['seconds']}`{of}, "
                    f"load {file['machine']['load_before'].split()[0]} before and "
                    f"{file['machine']['load_after'].split()[0]} after")
    text = [f"{machine['processor']}, {machine['cpus']} CPUs, {machine['memory_mib']} MiB, Linux {machine['kernel']}; "
            + "; ".join(said) + ". Medians; in brackets the longest and how often measured.", ""]
    lines = Lines(files)
    return "\n".join(text + pauses(lines) + growth(lines) + slowdown(lines) + children(lines)).rstrip("\n")


def main(arguments):
    paths = [path for path in arguments if not path.endswith(".md")]
    documents = [path for path in arguments if path.endswith(".md")]
    if not paths or len(documents) > 1:
        print(__doc__, file=sys.stderr)
        return 2
    files = []
    try:
        for path in paths:
            name, _, rows = path.partition(":")
            with open(name, encoding="utf-8") as file:
                files.append(json.load(file))
            if rows:
                files[-1]["rows"] = rows.split(",")
                files[-1]["lines"] = [line for line in files[-1]["lines"] if line["row"] in files[-1]["rows"]]
        made = text_of(files)
    except (OSError, ValueError, KeyError) as error:
        print(f"vm_table.py: {path} is not a file of `verso bench vm`: {error}", file=sys.stderr)
        return 2
    if not documents:
        print(made)
        return 0
    try:
        head, _, tail = marked.split(documents[0], BEGIN, END)
    except ValueError as error:
        print(f"vm_table.py: {error}", file=sys.stderr)
        return 2
    marked.write(documents[0], head, BEGIN, made, END, tail)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
