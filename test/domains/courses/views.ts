/** What the decisions about courses depend on, a view for each fact. */
import { View } from "evolvent"
import { AllEvents, CourseEvents, SubscriptionEvents } from "./events.ts"

/** The seats that a course has; `undefined` before it is defined. */
export const capacityOf = View.make({
  name: "CapacityOf",
  events: CourseEvents,
  query: (courseId: string) => CourseEvents.queryAll(undefined, { tags: [`course:${courseId}`] }),
  initial: undefined as number | undefined,
  evolve: {
    CourseDefined: (_, { capacity }) => capacity,
    CapacityChanged: (_, { capacity }) => capacity
  }
})

/** How many students have a seat in a course. */
export const seatsTaken = View.make({
  name: "SeatsTaken",
  events: SubscriptionEvents,
  query: (courseId: string) => SubscriptionEvents.queryAll(undefined, { tags: [`course:${courseId}`] }),
  initial: 0,
  evolve: { StudentSubscribed: (taken) => taken + 1, StudentUnsubscribed: (taken) => taken - 1 }
})

/** The courses that a student is subscribed to. */
export const coursesOf = View.make({
  name: "CoursesOf",
  events: AllEvents,
  query: (studentId: string) =>
    AllEvents.query(["StudentSubscribed", "StudentUnsubscribed"], undefined, { tags: [`student:${studentId}`] }),
  initial: [] as ReadonlyArray<string>,
  evolve: {
    StudentSubscribed: (courses, { courseId }) => [...courses, courseId],
    StudentUnsubscribed: (courses, { courseId }) => courses.filter((it) => it !== courseId)
  }
})
