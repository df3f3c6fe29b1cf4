// The journal: pairs of lines, a file and what it held; rewritten whole, beside and renamed.
#include "linux/world/journal.h"

#include <algorithm>
#include <cstdio>
#include <mutex>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "linux/world/text_file.h"

namespace verso::host {
namespace {
using Entry = std::pair<std::string, std::string>;

struct Journal {
    std::mutex guard;
    std::vector<Entry> entries;  // under guard; oldest first
};

Journal& journal() {
    static Journal* const instance = new Journal;  // settings may be put back at the very end
    return *instance;
}

/// Under guard.
void write_down(const std::vector<Entry>& entries) {
    if (entries.empty()) {
        ::unlink(journal_path);
        return;
    }
    const std::string beside = std::string(journal_path) + ".new";
    ::unlink(beside.c_str());
    // Why safe: a new file of ours, in a folder where only root may write.
    const Fd file{::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
    std::string text;
    for (const auto& [path, before] : entries) {
        text += path + "\n" + before + "\n";
    }
    // Why safe: as above; reads the text.
    if (file.valid() &&
        ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size())) {
        static_cast<void>(::rename(beside.c_str(), journal_path));  // none is no worse than before
    }
}

/// Root's own file, which nobody else could have written.
bool is_trusted() {
    struct stat found {};
    return ::geteuid() == 0 && ::lstat(journal_path, &found) == 0 && S_ISREG(found.st_mode) &&
           found.st_uid == 0 && (found.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}
}  // namespace

void journal_enter(const std::string& path, const std::string& before) {
    const std::lock_guard lock(journal().guard);
    journal().entries.emplace_back(path, before);
    write_down(journal().entries);
}

void journal_strike(const std::string& path) {
    const std::lock_guard lock(journal().guard);
    std::vector<Entry>& entries = journal().entries;
    const auto last = std::find_if(entries.rbegin(), entries.rend(),
                                   [&](const Entry& entry) { return entry.first == path; });
    if (last != entries.rend()) {
        entries.erase(std::next(last).base());
        write_down(entries);
    }
}

void journal_replay() {
    const std::lock_guard lock(journal().guard);
    if (!journal().entries.empty() || !is_trusted()) {
        return;
    }
    const std::string text = read_text(journal_path);
    std::vector<Entry> entries;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t middle = text.find('\n', at);
        const std::size_t end = middle == std::string::npos ? middle : text.find('\n', middle + 1);
        if (end == std::string::npos) {
            break;
        }
        entries.emplace_back(text.substr(at, middle - at),
                             text.substr(middle + 1, end - middle - 1));
        at = end + 1;
    }
    std::for_each(entries.rbegin(), entries.rend(), [](const Entry& entry) {
        if (!write_text(entry.first, entry.second)) {
            std::fprintf(stderr, "%s, left behind by a killed process, could not be put back\n",
                         entry.first.c_str());
        }
    });
    ::unlink(journal_path);
}

}  // namespace verso::host
