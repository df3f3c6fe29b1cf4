// The user's QEMU command line: see the header.
#include "vm/command_line.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace verso::vm {
namespace {

struct Refusal {
    std::string_view option;
    std::string_view why;
};
constexpr std::array refusals = {
    Refusal{"-daemonize", "verso puts QEMU into the background itself"},
    Refusal{"-incoming", "verso needs it for children"},
    Refusal{"-loadvm", "use `verso vm rewind`"},
    Refusal{"-snapshot", "use a qcow2 disk and `verso vm fork`"},
    Refusal{"-nographic", "the console is at `verso vm console`"},
    Refusal{"-serial", "verso connects the first serial port to `verso vm console`"},
    Refusal{"-monitor", "a child could not have the same one"},
    Refusal{"-qmp", "a child could not have the same one"},
    Refusal{"-pidfile", "a child could not have the same one"},
    Refusal{"-mem-path", "guest memory must be a memfd"},
    Refusal{"-mem-prealloc", "a child's memory arrives as it is touched"},
    Refusal{"-runas", "the page server must be allowed to watch this process"},
};

/// QEMU takes both -m and --m.
std::string option_name(const std::string& word) {
    return word.starts_with("--") && word.size() > 2 ? word.substr(1) : word;
}

bool is_yes(const std::string& value) { return value == "on" || value == "true" || value == "yes"; }

/// Of -m: "512M" or "size=512M".
Result<u64> size_of_m(const std::string& text) {
    const std::vector<Option> options = read_options(text);
    for (const Option& option : options) {
        if (option.key == "slots" || option.key == "maxmem") {
            return fail(ErrorKind::unsupported, 0,
                        "-m {}: memory that is plugged in later is not in the memfd; leave {} out",
                        text, option.key);
        }
    }
    const std::string size = value_of(options, "size");
    return read_size(size.empty() ? value_of(options, "") : size);
}

struct Reading {
    CommandLine line;
    u64 asked = 0;     // --memory
    u64 by_m = 0;      // -m
    u64 by_memfd = 0;  // the user's own memory-backend-memfd
    bool memfd_is_ram = false;
    bool huge = false;  // --huge

    Result<void> take(const std::string& name, std::size_t word);
    Result<void> object(std::size_t word);
    Result<void> drive(std::size_t word);
    Result<void> conclude();
};

Result<void> Reading::object(std::size_t word) {
    const std::string& text = line.words[word];
    const std::vector<Option> options = read_options(text);
    const std::string kind = options.empty() || !options.front().key.empty()
                                 ? value_of(options, "qom-type")
                                 : options.front().value;
    if (!kind.starts_with("memory-backend-") || kind == "memory-backend-epc") {
        return {};
    }
    const std::string share = value_of(options, "share");
    if (kind != "memory-backend-memfd" || !(share.empty() || is_yes(share)) || line.own_memfd) {
        return fail(ErrorKind::unsupported, 0,
                    "guest memory must be one memory-backend-memfd with share=on, not -object {}; "
                    "leave it out and verso adds one",
                    text);
    }
    line.huge = is_yes(value_of(options, "hugetlb"));
    const std::string huge_size = value_of(options, "hugetlbsize");
    if (line.huge && !huge_size.empty()) {
        Result<u64> bytes = read_size(huge_size);
        if (!bytes || *bytes != huge_page_bytes) {
            return fail(ErrorKind::unsupported, 0,
                        "huge pages can be of 2 MiB only, not hugetlbsize={}", huge_size);
        }
    }
    Result<u64> size = read_size(value_of(options, "size"));
    if (!size) {
        return pass(size, "-object " + text);
    }
    line.own_memfd = true;
    line.memfd_word = word;
    by_memfd = *size;
    return {};
}

Result<void> Reading::drive(std::size_t word) {
    const std::vector<Option> options = read_options(line.words[word]);
    const std::string file = value_of(options, "file");
    const bool readonly = is_yes(value_of(options, "readonly")) ||
                          is_yes(value_of(options, "read-only")) ||
                          value_of(options, "media") == "cdrom";
    if (!file.empty() && !readonly) {
        line.drives.push_back({word, file});
    }
    return {};
}

Result<void> Reading::take(const std::string& name, std::size_t word) {
    if (name == "-object") {
        return object(word);
    }
    if (name == "-drive") {
        return drive(word);
    }
    if (name == "-machine" || name == "-M") {
        const std::string backend = value_of(read_options(line.words[word]), "memory-backend");
        memfd_is_ram = memfd_is_ram || !backend.empty();
        return {};
    }
    if (name == "-m") {
        Result<u64> size = size_of_m(line.words[word]);
        if (!size) {
            return pass(size);
        }
        by_m = *size;
    }
    return {};
}

Result<void> Reading::conclude() {
    if (line.own_memfd && !memfd_is_ram) {
        return fail(ErrorKind::unsupported, 0,
                    "the memory-backend-memfd is not the guest's RAM: say so, -machine "
                    "…,memory-backend=ID");
    }
    u64 bytes = memory_bytes_default;
    for (const u64 said : {by_memfd, by_m, asked}) {
        bytes = said != 0 ? said : bytes;
    }
    for (const u64 said : {by_memfd, by_m, asked}) {
        if (said != 0 && said != bytes) {
            return fail(ErrorKind::invalid_argument, 0,
                        "guest memory is said to be {} and {} MiB; say it once", bytes >> 20,
                        said >> 20);
        }
    }
    if (bytes < (u64{1} << 20) || bytes > memory_bytes_max || bytes % (u64{1} << 20) != 0) {
        return fail(ErrorKind::invalid_argument, 0,
                    "{} bytes of guest memory: it must be whole MiB, at most {} GiB", bytes,
                    memory_bytes_max >> 30);
    }
    line.memory_bytes = bytes;
    if (huge && line.own_memfd && !line.huge) {
        return fail(ErrorKind::invalid_argument, 0,
                    "--huge, but the memory-backend-memfd says nothing of hugetlb=on; say it there "
                    "alone");
    }
    line.huge = line.huge || huge;
    if (line.huge && bytes % huge_page_bytes != 0) {
        return fail(ErrorKind::invalid_argument, 0,
                    "{} MiB of guest memory are not made of whole huge pages of 2 MiB",
                    bytes >> 20);
    }
    return {};
}

}  // namespace

Result<u64> read_size(std::string_view text) {
    u64 number = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
    unsigned shift = 20;
    if (unit == "K" || unit == "k") {
        shift = 10;
    } else if (unit == "G" || unit == "g") {
        shift = 30;
    } else if (unit == "T" || unit == "t") {
        shift = 40;
    } else if (!unit.empty() && unit != "M" && unit != "m") {
        number = 0;
    }
    if (error != std::errc() || number == 0 || number > (memory_bytes_max >> shift)) {
        return fail(ErrorKind::invalid_argument, 0,
                    "'{}' is not a size of memory: say for example 512M or 2G", text);
    }
    return number << shift;
}

Result<CommandLine> read_command_line(std::vector<std::string> words, u64 memory_bytes, bool huge) {
    if (words.empty()) {
        return fail(ErrorKind::invalid_argument, 0,
                    "QEMU's command line is missing: … -- qemu-system-x86_64 …");
    }
    Reading reading;
    reading.line.words = std::move(words);
    reading.asked = memory_bytes;
    reading.huge = huge;
    const std::vector<std::string>& all = reading.line.words;
    for (std::size_t word = 1; word < all.size(); ++word) {
        const std::string name = option_name(all[word]);
        for (const Refusal& refusal : refusals) {
            if (name == refusal.option) {
                return fail(ErrorKind::unsupported, 0, "QEMU's {} cannot be used here: {}", name,
                            refusal.why);
            }
        }
        const bool has_value = name == "-object" || name == "-drive" || name == "-m" ||
                               name == "-machine" || name == "-M";
        if (!has_value || word + 1 == all.size()) {
            continue;
        }
        ++word;
        if (Result<void> taken = reading.take(name, word); !taken) {
            return pass(taken);
        }
    }
    if (Result<void> done = reading.conclude(); !done) {
        return pass(done);
    }
    return std::move(reading.line);
}

namespace {
/// A child's memory is mapped by the agent; QEMU's own memfd must cost nothing.
std::string without_huge_pages(const std::string& object) {
    std::vector<Option> options = read_options(object);
    std::erase_if(options, [](const Option& option) {
        return option.key == "hugetlb" || option.key == "hugetlbsize" ||
               option.key.starts_with("prealloc");
    });
    return write_options(options);
}
}  // namespace

std::vector<std::string> command_for(const CommandLine& line, const std::string& folder,
                                     const std::vector<Drive>& drives, bool is_child) {
    std::vector<std::string> words = line.words;
    for (const Drive& drive : drives) {
        std::vector<Option> options = read_options(words[drive.word]);
        if (value_of(options, "file") == drive.file) {
            continue;
        }
        std::erase_if(options, [](const Option& option) {
            return option.key == "file" || option.key == "format";
        });
        options.push_back({"file", drive.file});
        options.push_back({"format", "qcow2"});
        words[drive.word] = write_options(options);
    }
    if (is_child && line.memfd_word != 0) {
        words[line.memfd_word] = without_huge_pages(words[line.memfd_word]);
    }
    std::size_t machine = 0;
    bool sized = false;
    bool shown = false;
    for (std::size_t i = 1; i < words.size(); ++i) {
        const std::string name = option_name(words[i]);
        machine = (name == "-machine" || name == "-M") && i + 1 < words.size() ? i + 1 : machine;
        sized = sized || name == "-m";
        shown = shown || name == "-display" || name == "-vnc";
    }
    const auto add = [&words](const std::string& option, const std::string& value) {
        words.push_back(option);
        words.push_back(value);
    };
    if (!line.own_memfd) {
        add("-object",
            "memory-backend-memfd,id=verso-ram,size=" + std::to_string(line.memory_bytes) +
                ",share=on" + (line.huge && !is_child ? ",hugetlb=on,hugetlbsize=2M" : ""));
        if (machine != 0) {
            words[machine] += ",memory-backend=verso-ram";
        } else {
            add("-machine", "memory-backend=verso-ram");
        }
    }
    if (!sized) {
        add("-m", std::to_string(line.memory_bytes >> 20) + "M");
    }
    if (!shown) {
        add("-display", "none");
    }
    add("-qmp",
        "unix:" + write_options({{"", folder + "/qmp.sock"}, {"server", "on"}, {"wait", "off"}}));
    add("-chardev", write_options({{"", "socket"},
                                   {"id", "verso-console"},
                                   {"path", folder + "/console.sock"},
                                   {"server", "on"},
                                   {"wait", "off"},
                                   {"logfile", folder + "/console.log"},
                                   {"logappend", "on"}}));
    add("-serial", "chardev:verso-console");
    if (is_child) {
        add("-incoming", "defer");
    }
    return words;
}

std::vector<Option> read_options(std::string_view text) {
    std::vector<Option> options;
    std::string part;
    const auto end_part = [&] {
        const std::size_t equals = part.find('=');
        if (equals == std::string::npos) {
            options.push_back({"", part});
        } else {
            options.push_back({part.substr(0, equals), part.substr(equals + 1)});
        }
        part.clear();
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != ',') {
            part += text[i];
        } else if (i + 1 < text.size() && text[i + 1] == ',') {
            part += ',';
            ++i;
        } else {
            end_part();
        }
    }
    end_part();
    return options;
}

std::string write_options(const std::vector<Option>& options) {
    std::string text;
    for (const Option& option : options) {
        text += text.empty() ? "" : ",";
        text += option.key.empty() ? "" : option.key + "=";
        for (const char c : option.value) {
            text += c == ',' ? ",," : std::string(1, c);
        }
    }
    return text;
}

std::string value_of(const std::vector<Option>& options, std::string_view key) {
    const auto at = std::find_if(options.rbegin(), options.rend(),
                                 [&](const Option& option) { return option.key == key; });
    return at == options.rend() ? std::string() : at->value;
}

}  // namespace verso::vm
