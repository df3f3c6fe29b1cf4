// Verbs with two ends.
#include "faultwalk/scenes.h"
namespace verso::faultwalk {
std::vector<Scene> remote_scenes() { return {}; }
}  // namespace verso::faultwalk
