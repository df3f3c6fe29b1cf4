// Reading and writing them whole.
#include "linux/world/text_file.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"

namespace verso::host {

std::string read_text(const std::string& path) {
    // Why safe: opens a file for reading.
    const Fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    std::string text;
    std::array<char, 4096> part;
    // Why safe: fills a local array, by its size.
    for (ssize_t count = 1; file.valid() && count > 0;) {
        // Why safe: as above.
        count = ::read(file.get(), part.data(), part.size());
        text.append(part.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
    }
    return text;
}

u64 read_number(const std::string& path) {
    const std::string text = read_text(path);
    u64 number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

u64 number_after(std::string_view text, std::string_view name) {
    u64 number = 0;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        if (text.starts_with(name)) {
            std::string_view rest = text.substr(name.size(), end - name.size());
            rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(": \t")));
            std::from_chars(rest.data(), rest.data() + rest.size(), number);
            break;
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return number;
}

Result<void> write_text(const std::string& path, const std::string& text) {
    // Why safe: a setting of the machine; callers put it back (Setting, Undo).
    const Fd file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
    // Why safe: as above; reads the text.
    if (!file.valid() ||
        ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
        return fail(ErrorKind::system, errno, "{} does not take {} ({}); it is for root to change",
                    path, text, std::strerror(errno));
    }
    return {};
}

}  // namespace verso::host
