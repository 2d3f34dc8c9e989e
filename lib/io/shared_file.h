#ifndef NARTHEX_LIB_IO_SHARED_FILE_H_
#define NARTHEX_LIB_IO_SHARED_FILE_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"

namespace narthex::io {

// A file of fixed size that is written as memory: what is stored in it survives the end of the
// process however it comes, without a call at each write; a power loss it need not survive. For
// notes that are looked at after a crash. Not behind FileSystem, because no fault between two
// operations can be placed in it.
//
// Thread safety: that of the bytes.
class SharedFile {
 public:
  // Makes the file, in place of one that is there, and fills it with zeros. Errors name the path.
  // REQUIRES: size > 0.
  static absl::StatusOr<std::unique_ptr<SharedFile>> Create(const std::string& path, size_t size);
  ~SharedFile();
  SharedFile(const SharedFile&) = delete;
  SharedFile& operator=(const SharedFile&) = delete;

  std::span<char> bytes() { return {data_, size_}; }

 private:
  SharedFile(char* data, size_t size) : data_(data), size_(size) {}
  char* const data_;
  const size_t size_;
};

}  // namespace narthex::io

#endif  // NARTHEX_LIB_IO_SHARED_FILE_H_
