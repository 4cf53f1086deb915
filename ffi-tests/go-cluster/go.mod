module kafkalog/ffi-tests/cluster

go 1.19
