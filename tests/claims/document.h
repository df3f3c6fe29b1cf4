// docs/mm.md: its tables are made from the rows that have just been run; the words around them are
// kept here too, so that the file is written by one hand.
#pragma once

#include <map>
#include <string>

#include "claims/claim.h"

namespace verso::claims {

/// What the rows came to: by table title, id and program.
struct Results {
    std::map<std::string, Verdicts> model;
    std::map<std::string, std::string> kernel;  // missing: not run this time
};
std::string key(const Table& table, std::size_t row);

/// The column of the running kernel as a file has it, by key.
std::map<std::string, std::string> kernel_column(const std::string& document);
std::string document(const std::vector<Table>& tables, const Results& results);
/// Divergences and what else the behavioural suite writes is not in here.
std::string read_document();
void write_document(const std::string& text);

}  // namespace verso::claims
