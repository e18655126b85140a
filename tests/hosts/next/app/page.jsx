"use client";
import { useEffect } from "react";

export default function Page() {
  useEffect(() => {
    import("../page.mjs");
  }, []);
  return <p>modelshrink</p>;
}
