# timeout set to 300
# loading the module
# KTAP version 1
# 1..1
#     KTAP version 1
#     # Subtest: xen_dma
#     1..2
#         KTAP version 1
#         # Subtest: map
#         # map: EXPECTATION FAILED at x.c:1
#         not ok 1 rpi4
#         ok 2 high
#     not ok 1 map
#     ok 2 sync # SKIP no memory above the reach
# not ok 1 xen_dma
