// The tabs of a job's page that show its state.

import { follow } from "./job-head.js";

follow();
