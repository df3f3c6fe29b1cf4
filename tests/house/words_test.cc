// What may not be written, anywhere in the project, and what must stand where.
#include <regex>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "house/tree.h"

namespace verso::house {
namespace {

struct Banned {
    std::string pattern;  // with one '~' that is dropped, so that this file does not name them
    std::string why;
};

/// Everywhere: paths and names that exist only on somebody's machine, and notes to oneself.
const std::vector<Banned> banned_everywhere = {
    {R"((^|[\s"'`(=])/wo~rk(/|\b))", "a path of one machine"},
    {R"((^|[\s"'`(=])(\.\.)?/sha~red/)", "a path of one machine"},
    {R"(\bfarm-~studio\b)", "a name that means nothing here"},
    {R"(`dupli~cates`)", "a name that means nothing here"},
    {R"(\bissue #?~[0-9])", "the code must explain itself without a tracker"},
    {R"(\bTO~DO\b)", "do it, or say in docs/ why not"},
    {R"(\bFIX~ME\b)", "fix it"},
    {R"(\bXX~X\b)", "say what is wrong instead"},
};

/// In src/ only: what the product does not do.
const std::vector<Banned> banned_in_product = {
    {R"(^\s*thr~ow\b|[;{)]\s*thr~ow\b)", "product code throws nothing: Result or VERSO_CHECK"},
    {R"(\bstd::en~dl\b)", "flushes; write \\n"},
    {R"(^\s*using name~space\b)", "hides where a name is from"},
    {R"(\bass~ert\()", "VERSO_CHECK is on in every build"},
    {R"(\batex~it\()", "owners stop what they start"},
    {R"(#\s*include\s+<iost~ream>)", "fmt prints"},
    {R"(#\s*include\s+<reg~ex>)", "3 s of compilation"},
};

std::regex compiled(const Banned& banned) {
    std::string pattern = banned.pattern;
    std::erase(pattern, '~');
    return std::regex(pattern);
}

Findings found_in(const File& file, const std::vector<Banned>& list) {
    Findings findings;
    for (const Banned& banned : list) {
        const std::regex pattern = compiled(banned);
        for (std::size_t i = 0; i < file.lines.size(); ++i) {
            if (std::regex_search(file.lines[i], pattern)) {
                findings.push_back(at(file, i, banned.why));
            }
        }
    }
    return findings;
}

std::vector<File> all_text() {
    std::vector<File> files = files_below(
        {"include", "src", "tests", "bench", "examples", "fuzz", "docs", "cmake", "scripts"}, {""});
    std::erase_if(files, [](const File& file) { return file.path.ends_with(".png"); });
    for (const char* path : {"CMakeLists.txt", "CMakePresets.json", "README.md", "CONTRIBUTING.md",
                             ".ci/run", ".clang-format", ".clang-tidy"}) {
        files.push_back(read_file(path));
    }
    return files;
}

TEST(Words, NothingNamesAMachineATrackerOrAnIntention) {
    Findings findings;
    for (const File& file : all_text()) {
        const Findings some = found_in(file, banned_everywhere);
        findings.insert(findings.end(), some.begin(), some.end());
    }
    EXPECT_TRUE(findings.empty()) << joined(findings);
}

TEST(Words, TheProductAvoidsWhatItPromisedToAvoid) {
    Findings findings;
    for (const File& file : files_below({"src", "include"}, {".h", ".hpp", ".cc"})) {
        const Findings some = found_in(file, banned_in_product);
        findings.insert(findings.end(), some.begin(), some.end());
    }
    EXPECT_TRUE(findings.empty()) << joined(findings);
}

TEST(Words, ABannedWordIsFound) {
    const std::string word = std::string("TO") + "DO";
    EXPECT_EQ(found_in(file_of("a.cc", "// " + word + ": later\n"), banned_everywhere).size(), 1U);
    const std::string path = std::string("/wo") + "rk/main";
    EXPECT_EQ(found_in(file_of("a.md", "see " + path + "\n"), banned_everywhere).size(), 1U);
    EXPECT_TRUE(found_in(file_of("a.cc", "// the working set\n"), banned_everywhere).empty());
}

TEST(Words, EveryCodeFileOpensWithWhatItIs) {
    Findings findings;
    for (const File& file : all_code()) {
        const bool opens = !file.lines.empty() &&
                           (file.lines[0].starts_with("//") || file.lines[0].starts_with("/*"));
        if (!opens) {
            findings.push_back(at(file, 0, "begin with a comment: what this is and why it exists"));
        }
    }
    EXPECT_TRUE(findings.empty()) << joined(findings);
}

TEST(Words, EveryHeaderIsIncludedOnce) {
    Findings findings;
    for (const File& file : all_code()) {
        const bool header = file.path.ends_with(".h") || file.path.ends_with(".hpp");
        bool guarded = !header;
        for (const std::string& line : file.lines) {
            guarded = guarded || line == "#pragma once" || line == "#ifndef VERSO_VERSO_H";
        }
        if (!guarded) {
            findings.push_back(file.path + ": #pragma once is missing");
        }
    }
    EXPECT_TRUE(findings.empty()) << joined(findings);
}

/// Heavy headers cost seconds for every file that includes them.
TEST(Words, TheCommandLineParserIsIncludedInExactlyOneFile) {
    Findings findings;
    for (const File& file : files_below({"src", "include"}, {".h", ".hpp", ".cc"})) {
        for (const std::string& line : file.lines) {
            if (line.starts_with("#include <CLI/")) {
                findings.push_back(file.path);
            }
        }
    }
    EXPECT_EQ(findings, Findings{"src/cli/main.cc"});
}

TEST(Words, JsonStaysOutOfHeaders) {
    Findings findings;
    for (const File& file : files_below({"src", "include"}, {".h", ".hpp"})) {
        for (std::size_t i = 0; i < file.lines.size(); ++i) {
            if (file.lines[i].starts_with("#include <nlohmann/json.hpp>")) {
                findings.push_back(at(file, i, "include it in the .cc"));
            }
        }
    }
    EXPECT_TRUE(findings.empty()) << joined(findings);
}

/// Behaviour is chosen by asking the running kernel, never by what the build machine's headers
/// define. abi/ compares its own constants with the headers; the processor's own words (a spin
/// hint, a register in a signal frame) may differ by processor. Nothing else uses the preprocessor.
TEST(Words, NoPreprocessorConditionDecidesBehaviour) {
    static const std::regex condition(R"(^\s*#\s*(if|ifdef|ifndef|elif)\b)");
    static const std::regex processor(R"(defined\(__(x86_64|aarch64|SANITIZE_\w+)__\))");
    Findings findings;
    for (const File& file : files_below({"src"}, {".h", ".cc"})) {
        if (file.path.starts_with("src/abi/")) {
            continue;
        }
        for (std::size_t i = 0; i < file.lines.size(); ++i) {
            const std::string& line = file.lines[i];
            if (std::regex_search(line, condition) && !std::regex_search(line, processor)) {
                findings.push_back(at(file, i, "ask at run time instead"));
            }
        }
    }
    EXPECT_TRUE(findings.empty()) << joined(findings);
}

// ── Why safe ─────────────────────────────────────────────────────────────────────────────────────

constexpr std::size_t reason_within_lines = 8;

/// Raw calls without a `// Why safe:` on the same line or shortly above.
Findings unexplained_calls(const File& file) {
    static const std::regex raw(
        R"((^|[^A-Za-z0-9_>])::(mmap|mremap|munmap|mprotect|madvise|ioctl|syscall|memfd_create|)"
        R"(fallocate|ftruncate|msync|)"
        R"(sigaction|sendmsg|recvmsg|process_vm_readv|process_vm_writev|eventfd|open|openat|read|)"
        R"(write|pread|pwrite|poll|ppoll|fcntl|dup)\()");
    Findings findings;
    std::size_t explained = 0;  // last line that a reason covers, plus one
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
        const std::string& line = file.lines[i];
        if (line.find("// Why safe:") != std::string::npos) {
            explained = i + 1 + reason_within_lines;
        }
        const std::size_t comment = line.find("//");
        if (std::regex_search(line.substr(0, comment), raw) && i >= explained) {
            findings.push_back(at(file, i, "a raw system call without a `// Why safe:` above"));
        }
    }
    return findings;
}

TEST(WhySafe, EveryRawSystemCallSaysIt) {
    Findings findings;
    for (const File& file : files_below({"src"}, {".h", ".cc"})) {
        const Findings some = unexplained_calls(file);
        findings.insert(findings.end(), some.begin(), some.end());
    }
    EXPECT_TRUE(findings.empty()) << joined(findings);
}

TEST(WhySafe, ACallWithoutAReasonIsFound) {
    EXPECT_EQ(unexplained_calls(file_of("a.cc", "int f() { return ::ioctl(1, 2); }\n")).size(), 1U);
    EXPECT_TRUE(
        unexplained_calls(file_of("a.cc", "// Why safe: it is ours.\nreturn ::ioctl(1, 2);\n"))
            .empty());
}

}  // namespace
}  // namespace verso::house
