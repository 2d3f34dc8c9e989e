#ifndef NARTHEX_LIB_MODEL_SAMPLE_H_
#define NARTHEX_LIB_MODEL_SAMPLE_H_

#include "lib/model/timestamp.h"

namespace narthex {

struct Sample {
  Timestamp timestamp = 0;
  double value = 0;
};

}  // namespace narthex

#endif  // NARTHEX_LIB_MODEL_SAMPLE_H_
