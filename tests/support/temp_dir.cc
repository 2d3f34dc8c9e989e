#include "tests/support/temp_dir.h"

#include <cstdlib>
#include <filesystem>

#include "lib/base/check.h"
#include "lib/base/strings.h"

namespace narthex {

TempDir::TempDir() {
  std::error_code error;
  path_ = (std::filesystem::temp_directory_path(error) / "narthex-test-XXXXXX").string();
  NARTHEX_CHECK(mkdtemp(path_.data()) != nullptr);
}

TempDir::~TempDir() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

std::string TempDir::File(std::string_view name) const { return StrCat(path_, "/", name); }

}  // namespace narthex
