// The disks that a guest may write to: see the header.
#include "vm/disks.h"

#include <filesystem>
#include <utility>

#include <nlohmann/json.hpp>

#include "vm/process.h"

namespace verso::vm {
namespace {

/// A layer's nodes are named after its file, which has one of its own: "disk-3.qcow2".
std::string node_of(const std::string& overlay) {
    return "verso-" + std::filesystem::path(overlay).stem().string();
}

std::string below_node_of(const std::string& overlay) { return node_of(overlay) + ".b"; }

Json file_node(const std::string& path) { return {{"driver", "file"}, {"filename", path}}; }

}  // namespace

void plan_tops(Record& record, const std::vector<std::string>& overlays) {
    for (std::size_t i = 0; i < overlays.size(); ++i) {
        record.line.drives[i].next = overlays[i];
    }
}

void adopt_tops(Record& record) {
    for (Drive& drive : record.line.drives) {
        if (!drive.next.empty()) {
            drive.file = std::exchange(drive.next, {});
        }
    }
}

Result<std::vector<Disk>> writable_disks(Qmp& qmp, Record& record) {
    Result<Json> blocks = qmp.execute("query-block");
    if (!blocks) {
        return pass(blocks);
    }
    std::vector<Disk> disks(record.line.drives.size());
    for (const Json& block : blocks->is_array() ? *blocks : Json::array()) {
        const Json& inserted = part_at(block, "inserted");
        if (!inserted.is_object() || flag_at(inserted, "ro")) {
            continue;
        }
        const std::string file = text_at(inserted, "file");
        const std::string format = text_at(inserted, "drv");
        if (format != "qcow2") {
            return fail(ErrorKind::unsupported, 0,
                        "the disk '{}' of '{}' may be written and is {}, which keeps no snapshots; "
                        "make it qcow2 or readonly=on (the guest goes on)",
                        file, record.name, format);
        }
        const Json& image = part_at(inserted, "image");
        bool known = false;
        for (std::size_t i = 0; i < disks.size(); ++i) {
            Drive& drive = record.line.drives[i];
            const std::string node = text_at(inserted, "node-name");
            if (!drive.next.empty() && node == node_of(drive.next)) {
                drive.file = drive.next;
            }
            if (drive.file == file || node == node_of(drive.file)) {
                known = true;
                drive.next.clear();
                disks[i] = {node, number_at(image, "virtual-size")};
            }
        }
        if (!known) {
            return fail(ErrorKind::unsupported, 0,
                        "the disk '{}' of '{}' may be written and was not given by -drive file=…, "
                        "so a child could not get its own (the guest goes on)",
                        file, record.name);
        }
    }
    for (std::size_t i = 0; i < disks.size(); ++i) {
        if (disks[i].node.empty()) {
            return fail(ErrorKind::unsupported, 0,
                        "the drive '{}' of '{}' is no longer in the guest (the guest goes on)",
                        record.line.drives[i].file, record.name);
        }
    }
    return disks;
}

Result<std::string> make_overlay(const RuntimeDir& dir, Record& record, const std::string& below,
                                 u64 bytes) {
    ++record.layers;
    const std::string folder = dir.folder(record.name);
    const std::string path = fmt::format("{}/disk-{}.qcow2", folder, record.layers);
    // -u: the layer below is open in QEMU, and its size is known already.
    const std::string absolute =
        std::filesystem::path(record.folder).append(below).lexically_normal().string();
    if (Result<void> made = run_helper({"qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b",
                                        absolute, "-F", "qcow2", path, std::to_string(bytes)},
                                       folder);
        !made) {
        return pass(made, "a layer for a disk (qemu-img is in Debian's qemu-utils)");
    }
    return path;
}

Result<void> put_overlays(Qmp& qmp, const std::vector<Disk>& disks,
                          const std::vector<std::string>& overlays) {
    Json actions = Json::array();
    for (std::size_t i = 0; i < disks.size(); ++i) {
        const std::string node = node_of(overlays[i]);
        Json file = file_node(overlays[i]);
        file["node-name"] = node + ".f";
        const Json layer = {
            {"driver", "qcow2"}, {"node-name", node}, {"file", file}, {"backing", nullptr}};
        if (Result<Json> added = qmp.execute("blockdev-add", layer); !added) {
            return pass(added);
        }
        actions.push_back({{"type", "blockdev-snapshot"},
                           {"data", {{"node", disks[i].node}, {"overlay", node}}}});
    }
    if (actions.empty()) {
        return {};
    }
    Result<Json> done = qmp.execute("transaction", Json{{"actions", actions}});
    return done ? Result<void>() : pass(done);
}

Result<void> open_below(Qmp& qmp, const std::vector<std::string>& overlays,
                        const std::vector<std::string>& below) {
    for (std::size_t i = 0; i < overlays.size(); ++i) {
        const Json base = {{"driver", "qcow2"},
                           {"node-name", below_node_of(overlays[i])},
                           {"read-only", true},
                           {"file", file_node(below[i])}};
        if (Result<Json> added = qmp.execute("blockdev-add", base); !added) {
            close_below(qmp, overlays);
            return pass(added, "the disk of that moment");
        }
    }
    return {};
}

void close_below(Qmp& qmp, const std::vector<std::string>& overlays) {
    for (const std::string& overlay : overlays) {
        (void)qmp.execute("blockdev-del", Json{{"node-name", below_node_of(overlay)}});
    }
}

Result<void> put_on_below(Qmp& qmp, const std::vector<std::string>& overlays,
                          const std::vector<std::string>& tops) {
    Json options = Json::array();
    for (const std::string& overlay : overlays) {
        const std::string node = node_of(overlay);
        options.push_back({{"driver", "qcow2"},
                           {"node-name", node},
                           {"file", node + ".f"},
                           {"backing", below_node_of(overlay)}});
    }
    if (options.empty()) {
        return {};
    }
    Result<Json> done = qmp.execute("blockdev-reopen", Json{{"options", options}});
    if (done) {
        return {};
    }
    if (Result<void> named = name_below(qmp, overlays, tops); !named) {
        return pass(done,
                    "a new layer names the wrong one below it (" + named.error().message + ")");
    }
    return pass(done);
}

namespace {

/// Its node in an answer to query-named-block-nodes; null: there is none.
const Json& node_in(const Json& nodes, const std::string& overlay) {
    static const Json nothing;
    for (const Json& node : nodes) {
        if (text_at(node, "node-name") == node_of(overlay)) {
            return node;
        }
    }
    return nothing;
}

Result<Json> all_nodes(Qmp& qmp) {
    Result<Json> nodes = qmp.execute("query-named-block-nodes");
    return !nodes || nodes->is_array() ? std::move(nodes) : Result<Json>(Json::array());
}

/// What it stands on in QEMU, whatever its file says.
std::string stands_on(const Json& node) {
    return text_at(part_at(part_at(node, "image"), "backing-image"), "filename");
}

}  // namespace

Result<bool> stand_on(Qmp& qmp, const std::vector<std::string>& overlays,
                      const std::vector<std::string>& below) {
    Result<Json> nodes = all_nodes(qmp);
    if (!nodes) {
        return pass(nodes);
    }
    for (std::size_t i = 0; i < overlays.size(); ++i) {
        if (stands_on(node_in(*nodes, overlays[i])) != below[i]) {
            return false;
        }
    }
    return !overlays.empty();
}

Result<void> name_below(Qmp& qmp, const std::vector<std::string>& overlays,
                        const std::vector<std::string>& tops) {
    Result<Json> nodes = all_nodes(qmp);
    if (!nodes) {
        return pass(nodes);
    }
    for (std::size_t i = 0; i < overlays.size(); ++i) {
        if (stands_on(node_in(*nodes, overlays[i])).empty()) {
            continue;  // not a top: nobody has put it on anything
        }
        const std::string node = node_of(overlays[i]);
        Result<Json> named = qmp.execute(
            "change-backing-file",
            Json{{"device", node}, {"image-node-name", node}, {"backing-file", tops[i]}});
        if (!named) {
            return pass(named);
        }
    }
    return {};
}

}  // namespace verso::vm
