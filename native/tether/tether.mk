TARGETS += $(BUILD)/tether

# Linked beside its place and renamed, like every program here: one that runs, or is just being started, stays whole.
$(BUILD)/tether: tether/tether.c tether/tether.mk $(SETTINGS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -o $@.new $<
	@mv $@.new $@
