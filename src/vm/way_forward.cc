// Out of a rewind that cannot be finished: see the header.
#include "vm/way_forward.h"

#include <nlohmann/json.hpp>

#include "vm/disks.h"
#include "vm/keeper.h"

namespace verso::vm {

Json json_of(const WayForward& way) {
    return {{"region", way.region},    {"keeper", way.keeper}, {"node", way.before.node},
            {"file", way.before.file}, {"tops", way.tops},     {"below", way.below},
            {"overlays", way.overlays}};
}

WayForward way_forward_of(const Json& json) {
    WayForward way;
    way.region = text_at(json, "region");
    way.keeper = text_at(json, "keeper");
    way.before = {text_at(json, "node"), text_at(json, "file")};
    way.overlays = texts_at(json, "overlays");
    way.tops = texts_at(json, "tops");
    way.below = texts_at(json, "below");
    return way;
}

Result<void> go_forward(Qmp& qmp, const WayForward& way) {
    Result<Json> memory = ask(
        way.keeper, Json{{"do", "rewind"}, {"region", way.region}, {"snapshot", before_rewind}});
    return memory ? take_state_back(qmp, way.before, before_rewind) : pass(memory);
}

Result<void> finish_or_go_forward(Qmp& qmp, const WayForward& way) {
    // Disks are the last to go back. A guest without any may as well be brought forward.
    Result<bool> arrived = stand_on(qmp, way.overlays, way.below);
    if (!arrived) {
        return pass(arrived);
    }
    if (*arrived) {
        return {};
    }
    if (Result<void> forward = go_forward(qmp, way); !forward) {
        return forward;
    }
    return name_below(qmp, way.overlays, way.tops);
}

}  // namespace verso::vm
