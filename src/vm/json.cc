// Reading JSON that somebody else wrote: see the header.
#include "vm/json.h"

#include <nlohmann/json.hpp>

namespace verso::vm {

Json parse_json(std::string_view text) {
    Json parsed = Json::parse(text, nullptr, false);
    return parsed.is_discarded() ? Json() : parsed;
}

std::string to_line(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

const Json& part_at(const Json& json, const char* key) {
    static const Json nothing;
    if (!json.is_object()) {
        return nothing;
    }
    const auto at = json.find(key);
    return at == json.end() ? nothing : *at;
}

std::string text_at(const Json& json, const char* key, std::string otherwise) {
    const Json& part = part_at(json, key);
    return part.is_string() ? part.get<std::string>() : std::move(otherwise);
}

std::vector<std::string> texts_at(const Json& json, const char* key) {
    std::vector<std::string> texts;
    const Json& part = part_at(json, key);
    for (const Json& one : part.is_array() ? part : Json::array()) {
        if (one.is_string()) {
            texts.push_back(one.get<std::string>());
        }
    }
    return texts;
}

u64 number_at(const Json& json, const char* key, u64 otherwise) {
    const Json& part = part_at(json, key);
    if (part.is_number_unsigned()) {
        return part.get<u64>();
    }
    return part.is_number_integer() && part.get<i64>() >= 0 ? static_cast<u64>(part.get<i64>())
                                                            : otherwise;
}

bool flag_at(const Json& json, const char* key, bool otherwise) {
    const Json& part = part_at(json, key);
    return part.is_boolean() ? part.get<bool>() : otherwise;
}

}  // namespace verso::vm
