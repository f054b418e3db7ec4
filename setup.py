"""What pyproject.toml cannot say: `configs/` goes into the wheel, as textdiff/configs."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigs(build_py):
    """An editable install reads the repository's own folder."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        source = Path(__file__).with_name("configs")
        for file in source.rglob("*.yaml"):
            target = Path(self.build_lib, "textdiff", "configs", file.relative_to(source))
            self.mkpath(str(target.parent))
            self.copy_file(str(file), str(target))


setup(cmdclass={"build_py": BuildWithConfigs})
