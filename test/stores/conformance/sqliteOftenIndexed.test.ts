import { runThrough } from "./runThrough.ts"

runThrough("sqlite that indexes every second event")
