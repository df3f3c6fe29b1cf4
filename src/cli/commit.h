// Which state of the sources this program was made from, where git could tell when it was built:
// a run that is to be repeated names it.
#pragma once

namespace verso::cli {

const char* commit();

}  // namespace verso::cli
