// docs/mm.md as text, and the running kernel's column read back from it.
#include "claims/document.h"

#include <fstream>
#include <sstream>

#include "behaviour/divergences.h"
#include "claims/not_modelled.h"

namespace verso::claims {
namespace {

const char* const path = VERSO_SOURCE_DIR "/docs/mm.md";

const char* const introduction = R"(# The model of memory management

`src/mm` is a model of the part of Linux memory management that carries userfaultfd
write-protection: mappings, page tables, faults, swap, migration, huge pages, same-page merging,
fork, and every call that touches them. A machine is a plain value, a step is a function, and
everything that could go either way is asked of one source (`src/mm/model.h` is its table of
contents). A kernel is a set of rules, `src/mm/rules.h`: one switch for every difference between
releases and for every design that was debated, and a preset for each release that matters. A
preset does what its release does, also where that breaks a promise or a document; "mended" is
6.18 with the rules that no release has yet, and breaks none (docs/findings.md). That these rules
are off in every release before 6.18, too, is an assumption: only a 6.18 was run.

What the model says is held against three things. Its own tests, mechanism by mechanism
(`tests/mm`). The running kernel, on which the same programs are run, step by step, with the
same outcomes and the same page tables (`tests/behaviour`). And the claims of those who argued
about this code, which are the tables below.

## How to read the tables

A row is a claim, the rule it is about, and the shortest program that shows it. Programs are
written in the notation of `src/check/program/program.h`: `SS: store; REGISTER(WP);
WRITEPROTECT; migrate; store` is a page of shared shmem that is stored to, registered,
protected, migrated, and stored to again. Kinds of memory: A anonymous, SS and SP shmem shared
and private, HS and HP hugetlb, FS and FP an ordinary file. The verdicts are about the last
step: `msg` (somebody was told, here by SIGBUS), `silent`, an errno, `= 1` (a value, or pages
that a scan found), `[Pu]` what the page is then: N empty, P present, S in swap, K a marker, `u`
protected, `f` of a file; `written` and `clean` are PAGEMAP_SCAN's word, `dirty` and `undirtied`
soft-dirty's. "On" and "off" are the model with the rule on and off. "nothing in 4711 states" is
what a search came back with that met every state to which programs of that length lead, with
the acts listed in `tests/claims/scopes.h` on two pages, each act in every way in which the
kernel's own choices can go (a page stays in the swap cache or leaves it, the end of a hint moves
the page to the other node or not); a program in that place is the shortest one that it found. In
"14.1" the column "off" lists neither design, only (1), only (2), both.

## How it is held true

`tests/claims` runs every row and fails if its verdicts are not what the row says, or if this
file is not what it would write. `VERSO_UPDATE_DOCS=1 build/dev/test_claims` rewrites it. The
column of the running kernel is compared where the kernel is a 6.18 and the test is root with
the machine's triggers (swap, compaction, NUMA balancing, same-page merging); otherwise, and
where a trigger had no luck, the column is taken from the file, and the test prints how many
rows that were. "–" says why a program is not run there.

)";

std::string cell(std::string text) {
    std::string escaped;
    for (const char c : text) {
        escaped += c == '|' ? "\\|" : std::string(1, c);
    }
    return escaped;
}

std::string code(const std::string& text) {
    // Within code a bar needs escaping in a table as well.
    return text.empty() ? "" : "`" + cell(text) + "`";
}

std::string divergence_table() {
    std::string text =
        "## What the running kernel does otherwise than is expected\n\nPrograms of the behavioural "
        "suite by which the kernel breaks a promise that the specification cites. The preset of "
        "the "
        "release does the same, \"mended\" keeps it; `tests/behaviour` runs every one of them, "
        "counts them, and fails when one is gone. All that is known, with what the model does not "
        "do like the kernel, is in [findings.md](findings.md).\n\n| release | program | what "
        "happens "
        "|\n|---|---|---|\n";
    for (const behaviour::Divergence& one : behaviour::divergences()) {
        text += fmt::format("| {} | {} | {} |\n", one.release, code(std::string(one.program)),
                            cell(std::string(one.reason)));
    }
    return text + "\n";
}

std::string not_modelled_table() {
    std::string text = "## What is not in the model\n\n| rows | what | why |\n|---|---|---|\n";
    for (const NotModelled& one : not_modelled) {
        text += fmt::format("| {} | {} | {} |\n", one.rows, one.what, one.why);
    }
    return text + "\n";
}

bool is_program(const std::string& text) { return check::parse(text).has_value(); }

std::string kernel_cell(const Row& row, const std::string& key, const Results& results) {
    if (!row.why_not_on_kernel.empty()) {
        return "– " + row.why_not_on_kernel;
    }
    const auto found = results.kernel.find(key);
    return found == results.kernel.end() ? "not run yet" : found->second;
}

std::string line(const Table& table, std::size_t at, const Results& results) {
    const Row& row = table.rows[at];
    if (!row.show) {
        return fmt::format("| {} | {} | – | – | – | – | – {} |\n", row.id, cell(row.claim),
                           cell(row.why_not_shown));
    }
    const std::string where = key(table, at);
    const Verdicts& seen = results.model.at(where);
    const std::string program = is_program(row.program) ? code(row.program) : cell(row.program);
    return fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", row.id, cell(row.claim),
                       cell(row.rule), program, cell(seen.on),
                       seen.off.empty() ? "–" : cell(seen.off),
                       cell(kernel_cell(row, where, results)));
}

/// The cells of a table's line; escaped bars are part of one.
std::vector<std::string> cells(const std::string& text) {
    std::vector<std::string> found(1);
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == '|') {
            found.back() += text[++i];
        } else if (text[i] == '|') {
            found.emplace_back();
        } else {
            found.back() += text[i];
        }
    }
    return found;
}

std::string trimmed(const std::string& text) {
    const std::size_t first = text.find_first_not_of(" `");
    return first == std::string::npos ? std::string()
                                      : text.substr(first, text.find_last_not_of(" `") - first + 1);
}

std::string key_of(const std::string& title, const std::string& id, const std::string& program,
                   const std::string& claim) {
    return title + "\n" + id + "\n" + trimmed(program) + "\n" + trimmed(claim);
}

}  // namespace

std::string key(const Table& table, std::size_t row) {
    const Row& one = table.rows[row];
    return key_of(table.title, one.id, one.program, one.claim);
}

std::map<std::string, std::string> kernel_column(const std::string& text) {
    std::map<std::string, std::string> column;
    std::istringstream lines(text);
    std::string title;
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("## ")) {
            title = line.substr(3);
        }
        const std::vector<std::string> parts = cells(line);
        // | id | claim | rule | program | on | off | kernel |
        if (parts.size() == 9) {
            column[key_of(title, trimmed(parts[1]), parts[4], parts[2])] = trimmed(parts[7]);
        }
    }
    return column;
}

std::string document(const std::vector<Table>& tables, const Results& results) {
    std::string text = introduction;
    text += divergence_table();
    text += not_modelled_table();
    for (const Table& table : tables) {
        text += fmt::format("## {}\n\n", table.title);
        if (!table.text.empty()) {
            text += table.text + "\n\n";
        }
        text += "| claim | in one line | rule | program | on | off | running 6.18 |\n";
        text += "|---|---|---|---|---|---|---|\n";
        for (std::size_t i = 0; i < table.rows.size(); ++i) {
            text += line(table, i, results);
        }
        text += "\n";
    }
    text.pop_back();
    return text;
}

std::string read_document() {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

void write_document(const std::string& text) { std::ofstream(path) << text; }

}  // namespace verso::claims
