// Reading JSON that somebody else wrote: nothing here throws, and what is missing or of another
// kind reads as the value that the caller names. (nlohmann's own accessors throw.)
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/types.h"

namespace verso::vm {

using Json = nlohmann::json;

/// null if the text is not JSON.
Json parse_json(std::string_view text);
/// On one line; bytes that are not UTF-8 are replaced.
std::string to_line(const Json& json);

std::string text_at(const Json& json, const char* key, std::string otherwise = {});
u64 number_at(const Json& json, const char* key, u64 otherwise = 0);
bool flag_at(const Json& json, const char* key, bool otherwise = false);
/// Those of an array that are texts.
std::vector<std::string> texts_at(const Json& json, const char* key);
/// null if it is not there.
const Json& part_at(const Json& json, const char* key);

}  // namespace verso::vm
