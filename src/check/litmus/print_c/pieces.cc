// Choosing pieces, from the last to the first: each only needs some that stand before it.
#include "check/litmus/print_c/pieces.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "base/check.h"

namespace verso::check::print_c {
namespace {

bool is_of_a_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

bool mentions_any(std::string_view text, std::string_view names) {
    while (!names.empty()) {
        const std::string_view name = names.substr(0, names.find(' '));
        names.remove_prefix(std::min(name.size() + 1, names.size()));
        if (mentions(text, name)) {
            return true;
        }
    }
    return false;
}

/// Without what stands in comments and strings, which may be any words.
std::string code_of(std::string_view text) {
    std::string code;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text.substr(at).starts_with("/*")) {
            at = std::min(text.find("*/", at + 2), text.size() - 2) + 1;
        } else if (text[at] == '"') {
            for (++at; at < text.size() && text[at] != '"'; ++at) {
                at += text[at] == '\\' ? 1 : 0;
            }
        } else {
            code += text[at];
        }
    }
    return code;
}

struct Number {
    std::string_view name;
    std::string_view value;
    std::string_view release;
};
constexpr Number numbers[] = {
    {"MADV_COLD", "20", "5.4"},
    {"MADV_PAGEOUT", "21", "5.4"},
    {"MADV_POPULATE_READ", "22", "5.14"},
    {"MADV_POPULATE_WRITE", "23", "5.14"},
    {"MADV_COLLAPSE", "25", "6.1"},
    {"MADV_GUARD_INSTALL", "102", "6.13"},
    {"MADV_GUARD_REMOVE", "103", "6.13"},
    {"MAP_DROPPABLE", "0x08", "6.11"},
    {"UFFD_USER_MODE_ONLY", "1", "5.11"},
    {"UFFD_FEATURE_EXACT_ADDRESS", "(1 << 11)", "5.18"},
    {"UFFD_FEATURE_WP_HUGETLBFS_SHMEM", "(1 << 12)", "5.19"},
    {"UFFD_FEATURE_WP_UNPOPULATED", "(1 << 13)", "6.4"},
    {"UFFD_FEATURE_POISON", "(1 << 14)", "6.6"},
    {"UFFD_FEATURE_WP_ASYNC", "(1 << 15)", "6.7"},
    {"UFFD_FEATURE_MOVE", "(1 << 16)", "6.8"},
};

struct Structure {
    std::string_view name;
    std::string_view macro;
    std::string_view text;
};
constexpr Structure structures[] = {
    {"uffdio_poison", "UFFDIO_POISON", R"(#ifndef UFFDIO_POISON /* 6.6 */
struct uffdio_poison {
    struct uffdio_range range;
    uint64_t mode;
    int64_t updated;
};
#define UFFDIO_POISON _IOWR(0xAA, 0x08, struct uffdio_poison)
#endif
)"},
    {"uffdio_move", "UFFDIO_MOVE", R"(#ifndef UFFDIO_MOVE /* 6.8 */
struct uffdio_move {
    uint64_t dst, src, len, mode;
    int64_t move;
};
#define UFFDIO_MOVE _IOWR(0xAA, 0x05, struct uffdio_move)
#endif
)"},
    {"pm_scan_arg", "PAGEMAP_SCAN", R"(#ifndef PAGEMAP_SCAN /* 6.7 */
struct page_region {
    uint64_t start, end, categories;
};
struct pm_scan_arg {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define PAGEMAP_SCAN _IOWR('f', 16, struct pm_scan_arg)
#endif
)"},
};

}  // namespace

bool mentions(std::string_view text, std::string_view name) {
    for (std::size_t at = text.find(name); at != std::string_view::npos;
         at = text.find(name, at + 1)) {
        const std::size_t end = at + name.size();
        if ((at == 0 || !is_of_a_name(text[at - 1])) &&
            (end == text.size() || !is_of_a_name(text[end]))) {
            return true;
        }
    }
    return false;
}

std::string numbers_text(std::string_view used) {
    std::string text;
    for (const Number& one : numbers) {
        if (mentions(used, one.name)) {
            text += fmt::format("#ifndef {0}\n#define {0} {1} /* {2} */\n#endif\n", one.name,
                                one.value, one.release);
        }
    }
    for (const Structure& one : structures) {
        if (mentions(used, one.name) || mentions(used, one.macro)) {
            text += one.text;
        }
    }
    return text;
}

bool Conditions::holds(std::string_view name) const {
    const bool inverted = name.front() == '!';
    name.remove_prefix(inverted ? 1 : 0);
    const std::pair<std::string_view, bool> all[] = {
        {"uffd", uffd},         {"messages", messages},   {"threads", threads},
        {"sleepers", sleepers}, {"copies", copies},       {"machine", machine},
        {"swap", swap},         {"luck", luck},           {"hints", hints},
        {"keeps", keeps},       {"user_mode", user_mode},
    };
    const auto one = std::ranges::find(all, name, &std::pair<std::string_view, bool>::first);
    VERSO_CHECK(one != std::end(all), "there is no condition {}", name);
    return one->second != inverted;
}

std::string only(std::string_view text, const Conditions& conditions) {
    std::string kept;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end);
        if (line.front() == '@') {
            const std::size_t blank = line.find(' ');
            if (!conditions.holds(line.substr(1, blank - 1))) {
                continue;
            }
            line.remove_prefix(blank + 1);
        }
        kept += line;
    }
    return kept;
}

std::string needed(std::string_view program, const Conditions& conditions) {
    std::string wanting = code_of(program);
    std::vector<std::string> chosen;
    for (const auto* some : {&judge_pieces(), &look_pieces(), &actor_pieces(), &trigger_pieces(),
                             &machine_pieces(), &fill_pieces(), &call_pieces()}) {
        for (auto piece = some->rbegin(); piece != some->rend(); ++piece) {
            if (mentions_any(wanting, piece->names)) {
                chosen.push_back(only(piece->text, conditions));
                wanting += code_of(chosen.back());
            }
        }
    }
    std::string text;
    for (auto one = chosen.rbegin(); one != chosen.rend(); ++one) {
        text += *one;
    }
    return text;
}

}  // namespace verso::check::print_c
