// What is kept of one machine: see the header.
#include "vm/record.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <nlohmann/json.hpp>

#include "vm/json.h"

namespace verso::vm {
namespace {

Json json_of(const Record& record) {
    Json drives = Json::array();
    for (const Drive& drive : record.line.drives) {
        drives.push_back({{"word", drive.word}, {"file", drive.file}, {"next", drive.next}});
    }
    Json moments = Json::array();
    for (const Moment& moment : record.moments) {
        moments.push_back(
            {{"name", moment.name}, {"state", moment.state}, {"disks", moment.disks}});
    }
    return {{"name", record.name},
            {"parent", record.parent},
            {"folder", record.folder},
            {"command", record.line.words},
            {"memory_bytes", record.line.memory_bytes},
            {"own_memfd", record.line.own_memfd},
            {"memfd_word", record.line.memfd_word},
            {"huge", record.line.huge},
            {"drives", drives},
            {"pid", record.process.pid},
            {"started", record.process.started},
            {"layers", record.layers},
            {"below", record.below},
            {"moments", moments}};
}

Record record_of(const Json& json) {
    Record record;
    record.name = text_at(json, "name");
    record.parent = text_at(json, "parent");
    record.folder = text_at(json, "folder");
    record.line.words = texts_at(json, "command");
    record.line.memory_bytes = number_at(json, "memory_bytes");
    record.line.own_memfd = flag_at(json, "own_memfd");
    record.line.memfd_word = number_at(json, "memfd_word");
    record.line.huge = flag_at(json, "huge");
    const Json& drives = part_at(json, "drives");
    for (const Json& drive : drives.is_array() ? drives : Json::array()) {
        record.line.drives.push_back(
            {number_at(drive, "word"), text_at(drive, "file"), text_at(drive, "next")});
    }
    record.process = {static_cast<pid_t>(number_at(json, "pid")), number_at(json, "started")};
    record.layers = number_at(json, "layers");
    record.below = texts_at(json, "below");
    const Json& moments = part_at(json, "moments");
    for (const Json& moment : moments.is_array() ? moments : Json::array()) {
        record.moments.push_back(
            {text_at(moment, "name"), text_at(moment, "state"), texts_at(moment, "disks")});
    }
    return record;
}

/// Everything that the verbs rely on without looking again.
bool is_whole(const Record& record, const std::string& name) {
    const std::size_t drives = record.line.drives.size();
    for (const Drive& drive : record.line.drives) {
        if (drive.word == 0 || drive.word >= record.line.words.size()) {
            return false;
        }
    }
    for (const Moment& moment : record.moments) {
        if (moment.name.empty() || moment.disks.size() != drives) {
            return false;
        }
    }
    return record.name == name && record.line.memfd_word < record.line.words.size() &&
           !record.line.words.empty() && record.line.memory_bytes != 0;
}

}  // namespace

const Moment* Record::moment(const std::string& named) const {
    for (const Moment& one : moments) {
        if (one.name == named) {
            return &one;
        }
    }
    return nullptr;
}

Result<Record> load_record(const RuntimeDir& dir, const std::string& name) {
    if (Result<void> right = check_name(name); !right) {
        return pass(right);
    }
    std::ifstream file(dir.file(name, "vm.json"));
    if (!file) {
        return fail(ErrorKind::invalid_argument, ENOENT,
                    "there is no virtual machine '{}'; `verso vm ls` lists them", name);
    }
    const std::string text((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
    Record record = record_of(parse_json(text));
    if (!is_whole(record, name)) {
        return fail(ErrorKind::damaged, 0,
                    "'{}' is damaged; `verso vm rm {}` removes what is left of the machine",
                    dir.file(name, "vm.json"), name);
    }
    return record;
}

Result<void> save_record(const RuntimeDir& dir, const Record& record) {
    const std::string path = dir.file(record.name, "vm.json");
    const std::string fresh = path + ".new";
    {
        std::ofstream file(fresh, std::ios::trunc);
        file << json_of(record).dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
        file.flush();
        if (!file) {
            return fail(ErrorKind::resource, errno, "'{}' cannot be written", fresh);
        }
    }
    if (std::rename(fresh.c_str(), path.c_str()) != 0) {
        return fail(ErrorKind::system, errno, "'{}' cannot be replaced: {}", path,
                    std::strerror(errno));
    }
    return {};
}

}  // namespace verso::vm
