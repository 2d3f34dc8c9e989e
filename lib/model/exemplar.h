#ifndef NARTHEX_LIB_MODEL_EXEMPLAR_H_
#define NARTHEX_LIB_MODEL_EXEMPLAR_H_

#include "lib/labels/labels.h"
#include "lib/model/timestamp.h"

namespace narthex {

// One observation behind a sample, with the labels (a trace id) that lead to it.
struct Exemplar {
  Labels labels;
  Timestamp timestamp = 0;
  double value = 0;
  friend bool operator==(const Exemplar&, const Exemplar&) = default;
};

}  // namespace narthex

#endif  // NARTHEX_LIB_MODEL_EXEMPLAR_H_
