#ifndef NARTHEX_SERVICES_STORAGE_READ_MESSAGE_CODEC_H_
#define NARTHEX_SERVICES_STORAGE_READ_MESSAGE_CODEC_H_

#include <grpcpp/grpcpp.h>

#include <string>
#include <utility>
#include <vector>

#include "lib/base/coding.h"
#include "narthex/v1/storage.pb.h"

namespace narthex::storage_service {

// A message of an answer on its way to the transport, on the wire a v1::ReadResponse: long frames
// are handed over as they are, where protobuf would copy every byte.
//
// Thread safety: none.
class ReadMessage {
 public:
  ReadMessage() = default;
  // Takes the frames out of *response, which must outlive it.
  explicit ReadMessage(v1::ReadResponse* response) : response_(response) {}

  // Once.
  grpc::ByteBuffer Serialize() const {
    constexpr size_t kLongFrame = 4096;
    constexpr char kFramesTag = (2 << 3) | 2;  // ReadResponse.frames
    constexpr char kSelectorTag = 1 << 3;      // SelectFrame.selector
    constexpr char kSeriesTag = (2 << 3) | 2;  // SelectFrame.series
    google::protobuf::RepeatedPtrField<v1::SelectFrame> frames;
    frames.Swap(response_->mutable_frames());
    std::vector<grpc::Slice> slices;
    std::string text = response_->SerializeAsString();
    for (v1::SelectFrame& frame : frames) {
      std::string head;
      if (frame.selector() != 0) {
        head.push_back(kSelectorTag);
        AppendUvarint(&head, frame.selector());
      }
      head.push_back(kSeriesTag);
      AppendUvarint(&head, frame.series().size());
      text.push_back(kFramesTag);
      AppendUvarint(&text, head.size() + frame.series().size());
      text.append(head);
      if (frame.series().size() < kLongFrame) {
        text.append(frame.series());
        continue;
      }
      slices.emplace_back(text);
      text.clear();
      auto* const series = new std::string(std::move(*frame.mutable_series()));
      slices.emplace_back(
          series->data(), series->size(),
          [](void* owned) { delete static_cast<std::string*>(owned); }, series);
    }
    if (!text.empty() || slices.empty()) slices.emplace_back(text);
    return grpc::ByteBuffer(slices.data(), slices.size());
  }

 private:
  v1::ReadResponse* response_ = nullptr;
};

}  // namespace narthex::storage_service

// How gRPC gets its bytes.
template <>
class grpc::SerializationTraits<narthex::storage_service::ReadMessage> {
 public:
  static grpc::Status Serialize(const narthex::storage_service::ReadMessage& message,
                                grpc::ByteBuffer* buffer, bool* own_buffer) {
    grpc::ByteBuffer serialized = message.Serialize();
    buffer->Swap(&serialized);
    *own_buffer = true;
    return grpc::Status::OK;
  }
};

#endif  // NARTHEX_SERVICES_STORAGE_READ_MESSAGE_CODEC_H_
