// Where the scenes are kept, by who takes part in them.
#pragma once

#include "faultwalk/walk.h"

namespace verso::faultwalk {

std::vector<Scene> local_scenes();       // verbs of one process
std::vector<Scene> background_scenes();  // what threads do behind the verbs; endings
std::vector<Scene> remote_scenes();      // export and import, attach and lend, orphans

}  // namespace verso::faultwalk
