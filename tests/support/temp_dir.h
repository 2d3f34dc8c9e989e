#ifndef NARTHEX_TESTS_SUPPORT_TEMP_DIR_H_
#define NARTHEX_TESTS_SUPPORT_TEMP_DIR_H_

#include <string>
#include <string_view>

namespace narthex {

// An empty folder under the system's temporary one, removed with all it holds by the destructor.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }
  std::string File(std::string_view name) const;

 private:
  std::string path_;
};

}  // namespace narthex

#endif  // NARTHEX_TESTS_SUPPORT_TEMP_DIR_H_
