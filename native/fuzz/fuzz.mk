# Mutation fuzzers for the host's protocol and for disk files; not part of `all`. `npm run sanitize` builds them with
# sanitizers, test/native without.
FUZZERS := $(BUILD)/fuzz/fuzz-protocol $(BUILD)/fuzz/fuzz-disk
.PHONY: fuzz
fuzz: $(FUZZERS) $(BUILD)/vddk-host $(STANDIN_LIBRARY)

$(BUILD)/obj/fuzz/%.o: fuzz/%.cc fuzz/fuzz.mk $(SETTINGS)
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) $(NATIVE_CXXFLAGS) -c -o $@ $<

$(BUILD)/fuzz/fuzz-protocol: $(BUILD)/obj/fuzz/fuzz-protocol.o $(BUILD)/obj/fuzz/fuzzing.o $(filter-out %/main.o,$(HOST_OBJECTS))
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) -pthread -o $@ $^ -ldl

$(BUILD)/fuzz/fuzz-disk: $(BUILD)/obj/fuzz/fuzz-disk.o $(BUILD)/obj/fuzz/fuzzing.o $(STANDIN_OBJECTS)
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) -pthread -o $@ $^ -ldl

-include $(wildcard $(BUILD)/obj/fuzz/*.d)
