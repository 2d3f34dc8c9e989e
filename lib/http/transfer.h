#ifndef NARTHEX_LIB_HTTP_TRANSFER_H_
#define NARTHEX_LIB_HTTP_TRANSFER_H_

#include <curl/curl.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "lib/http/client.h"
#include "lib/http/compression.h"

namespace narthex::http {

// One fetch: the settings of its curl handle, the answer as it arrives, and what its failure means.
// Made on the caller's thread, then only touched by the event thread of the client.
class Transfer {
 public:
  // Reads the secrets that the configuration keeps in files; Prepare() says when that failed.
  Transfer(ClientRequest request, Client::Callback done);
  ~Transfer();

  // Requests of the same server have the same key: their connections are kept together.
  size_t ServerKey() const;
  // Sets `easy` up for this transfer; FailedPrecondition when a secret could not be read. `easy`
  // must be fresh or reset, and must be reset before the Transfer ends.
  absl::Status Prepare(CURL* easy);
  // Calls back with the answer, or with what `result` means. Once.
  void Finish(CURL* easy, CURLcode result);
  void Fail(const absl::Status& status);

 private:
  absl::Status ReadSecrets();
  void PrepareUrl(CURL* easy);
  void PrepareMethod(CURL* easy);
  void PrepareConnection(CURL* easy);
  void PrepareTls(CURL* easy);
  void PrepareHeaders(CURL* easy);
  void AddHeader(std::string_view name, std::string_view value);
  absl::Status ErrorOf(CURL* easy, CURLcode result) const;

  size_t OnHeader(std::string_view line);
  size_t OnBody(std::string_view bytes);
  static size_t HeaderCallback(char* data, size_t size, size_t count, void* self);
  static size_t BodyCallback(char* data, size_t size, size_t count, void* self);
  static curl_socket_t OpenSocketCallback(void* self, curlsocktype purpose, curl_sockaddr* address);

  // Constant after construction.
  const ClientRequest request_;
  const std::shared_ptr<const ClientConfig> config_;
  const std::chrono::steady_clock::time_point start_;
  std::string password_;
  std::string credentials_;
  absl::Status secrets_status_;

  // What curl reads while it works.
  Client::Callback done_;
  curl_slist* headers_ = nullptr;
  curl_slist* connect_to_ = nullptr;
  std::array<char, CURL_ERROR_SIZE> error_text_{};

  // The answer.
  ClientResponse response_;
  bool body_began_ = false;
  std::unique_ptr<Decompressor> decompressor_;
  absl::Status body_status_;
  std::string dialed_;  // The last address that was tried.
};

}  // namespace narthex::http

#endif  // NARTHEX_LIB_HTTP_TRANSFER_H_
